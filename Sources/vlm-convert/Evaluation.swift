import VLMCommandLine
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// How far a converted model's answers are from full precision, on images of the user's.
struct Evaluation {
  struct Outcome {
    let image: String
    /// Of the logits, or of the embeddings where there are no classes.
    let cosine: Double
    /// `ClassScores.divergence` from the f32 model's probabilities.
    let divergence: Double?
    /// `ClassScores.agree`.
    let agrees: Bool?
    let scores: Scores
  }

  /// Refuses what `run` could not do, before anything is converted.
  ///
  /// - Throws: `ConversionError` for a model that sees no pictures, or answers questions about them;
  ///   what `ImageDecoder` throws for a picture that cannot be read.
  static func check(_ source: SourceModel, images: [String]) throws {
    guard let first = images.first else { return }
    let description = source.description
    guard description.language == nil, let steps = source.preprocessing else {
      throw ConversionError(
        path: source.catalog.path,
        .option(
          "--evaluate", found: first,
          expected: "no such option: it compares what image models make of pictures, and this is "
            + (description.language == nil
              ? "one of \(description.inputChannels) channels" : "a model that writes text")))
    }
    for name in images {
      _ = try steps.apply(try ImageDecoder.open(path: name), name: name)
    }
  }

  /// Runs `model` and an f32 conversion of `source`, made beside it for the while, on each image.
  static func run(
    model: String, source: SourceModel, images: [String], threads: Int
  ) throws -> [Outcome] {
    let kernels = try Environment.kernelSet()
    let exactPath = model + ".f32-for-evaluation"
    let conversion = try Conversion(
      source: source, policy: QuantizationPolicy(scheme: .f32), ignoreUnexpected: true,
      pool: WorkerPool(threadCount: threads), kernels: kernels)
    _ = try conversion.run(to: exactPath, overwrite: false) { _, _, _ in }
    // The mapping outlives the name, so that nothing is left behind whatever happens next.
    let opened = Result { try Session(path: exactPath, kernels: kernels, threads: threads) }
    FileSystem.unlink(exactPath)
    let exact = try opened.get()
    let stored = try Session(path: model, kernels: kernels, threads: threads)
    return try images.map { name in
      let picture = try ImageDecoder.open(path: name) {
        Report.warning("\(name.escapedForDisplay()): \($0.description)", program: "vlm-convert")
      }
      let pixels = try exact.preprocessing.apply(picture, name: name)
      let want = try exact.run([pixels])[0]
      let found = try stored.run([pixels])[0]
      guard let p = want.logits, let q = found.logits else {
        return Outcome(
          image: name, cosine: cosine(want.embedding, found.embedding), divergence: nil,
          agrees: nil, scores: stored.scores)
      }
      return Outcome(
        image: name, cosine: cosine(p, q),
        divergence: ClassScores.divergence(of: q, from: p, as: stored.scores),
        agrees: ClassScores.agree(p, q, as: stored.scores), scores: stored.scores)
    }
  }

  static func report(_ outcomes: [Outcome]) {
    Report.line("against f32:")
    for outcome in outcomes {
      var text = "  \(outcome.image.escapedForDisplay()): cosine \(decimal(outcome.cosine, 6))"
      if let divergence = outcome.divergence { text += ", KL \(decimal(divergence, 6)) nats" }
      let thing = outcome.scores == .sigmoid ? "classes above 50 %" : "class"
      if let same = outcome.agrees {
        text += same ? ", same \(thing)" : ", other \(thing)"
      }
      Report.line(text)
    }
  }

  static func json(_ outcomes: [Outcome]) -> JSONValue {
    .array(
      outcomes.map { outcome in
        [
          "image": .string(outcome.image), "cosine": .double(outcome.cosine),
          "kl": outcome.divergence.map { .double($0) } ?? .null,
          outcome.scores == .sigmoid ? "same_above_half" : "same_top":
            outcome.agrees.map { .bool($0) } ?? .null,
        ]
      })
  }

  private static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return aa * bb > 0 ? dot / (aa * bb).squareRoot() : 0
  }
}
