import VLMConversion
import VLMFoundation
import VLMTensor

extension Converter {
  /// What a conversion wrote, and what the rounding cost.
  public struct Report: Sendable {
    /// One tensor of the container.
    public struct Tensor: Sendable, Equatable {
      /// The container's own name.
      public let name: String
      /// Extents, outermost first.
      public let shape: [Int]
      /// How it is stored.
      public let scheme: WeightScheme
      /// Bytes that it takes.
      public let byteCount: Int
      /// Why it is stored in another scheme than the one asked for; nil where it is not.
      public let reason: String?
      /// √(Σ(w − v)² / Σw²) of its weights w and what is stored for them, v. 0 where nothing was lost,
      /// infinite where all weights are 0 and some v is not.
      public let relativeError: Double
      /// The largest |w − v|.
      public let maximumError: Double
      /// Σw·v / √(Σw² · Σv²); 1 where both are all zeros.
      public let cosine: Double
    }

    /// Where the container is.
    public let path: String
    /// `Converter.notes`, and what became of an earlier conversion that was broken off.
    public let notes: [String]
    package let details: ConversionReport

    init(path: String, details: ConversionReport, notes: [String]) {
      self.path = path
      self.details = details
      self.notes = notes
    }

    /// All tensors, by name.
    public var tensors: [Tensor] {
      details.entries.map { entry in
        Tensor(
          name: entry.name, shape: entry.shape, scheme: WeightScheme(entry.scheme),
          byteCount: entry.byteCount, reason: entry.reason?.description,
          relativeError: entry.error.relativeRootMeanSquareError,
          maximumError: entry.error.maxAbsError, cosine: entry.error.cosine)
      }
    }

    /// Bytes of the file.
    public var fileByteCount: Int { details.fileByteCount }

    /// Numbers that were learned, over all tensors.
    public var parameterCount: Int { details.parameterCount }

    /// Stored bits per parameter: codes, scales and padding of all tensors.
    public var bitsPerWeight: Double { details.bitsPerWeight }

    /// What a budget's mixture was expected to lose before it was run: nats of divergence of a model that
    /// writes or names classes, else one less the cosine of embeddings. It errs by some tens of percent
    /// where conversions by the same statistics were measured before, and may be a few times too low where
    /// none was. Nil without a budget, and without calibration.
    public var predictedLoss: Double? { details.spending?.predictedLoss }

    /// What the written model was found to lose, on data of the calibration that were held back; nil where
    /// there were none.
    public var measuredLoss: Double? { details.spending?.measuredLoss }

    /// The report as one JSON object, which `vlm-convert --json` prints with its options: `scheme`,
    /// `bits_per_weight`, `tensors` (those that are not f32, each with `name`, `scheme`,
    /// `relative_rmse`, `max_abs_error`, `cosine` and maybe `reason`) and `file_bytes`. All but the
    /// last are in the container too.
    public var json: String { JSONValue.object(object()).serialized() }

    /// `json` with `notes` too.
    public func describe() -> String {
      var object = object()
      object.set("notes", .array(notes.map { .string($0) }))
      return JSONValue.object(object).serialized()
    }

    /// The members of `json`, with reasons in the given words.
    package func object(in words: Wording = .library) -> JSONObject {
      var object = details.json(in: words).objectValue ?? JSONObject()
      object.set("file_bytes", .int(fileByteCount))
      return object
    }
  }
}
