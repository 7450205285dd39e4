import VLMFoundation
import VLMTensor

/// What a conversion may spend, where the scheme of each matrix is not given.
package enum Budget: Sendable, Equatable {
  /// Bytes of the whole file, and how they were written, where a person did.
  case size(Int, as: GivenSize? = nil)
  /// Bits per weight, as reports count them: of all tensors, without padding between them.
  case bits(Double)
  /// As many bytes of tensors as the policy of this scheme takes.
  case scheme(Scheme, byteCount: Int)
  /// What the model may lose.
  case loss(Double)

  /// What a caller sets for it.
  package var setting: Setting {
    switch self {
    case .size: .size
    case .bits: .bits
    case .scheme: .tensorSchemes
    case .loss: .loss
    }
  }

  /// The value, for people.
  package var text: String {
    switch self {
    case .size(let bytes, _): byteText(bytes)
    case .bits(let bits): "\(decimal(bits, 2)) bits per weight"
    case .scheme(let scheme, _): scheme.name
    case .loss(let loss): significant(loss)
    }
  }

  var json: JSONValue {
    switch self {
    case .size(let bytes, _): ["kind": "size", "bytes": .int(bytes)]
    case .bits(let bits): ["kind": "bits", "bits_per_weight": .double(bits)]
    case .scheme(let scheme, let bytes):
      ["kind": "scheme", "scheme": .string(scheme.name), "bytes": .int(bytes)]
    case .loss(let loss): ["kind": "loss", "loss": .double(loss)]
    }
  }
}

/// What a loss is a number of.
package enum LossUnit: String, Sendable {
  /// The divergence of probabilities (KL) in nats: of the next token, or of a class.
  case divergence
  /// One less the cosine of embeddings, which is half the relative squared error of small ones.
  case featureError = "feature_error"

  package var text: String {
    switch self {
    case .divergence: "nats of divergence"
    case .featureError: "lost of the cosine of embeddings"
    }
  }
}

/// Three digits that mean something: "0.0373", "1.2e-05".
package func significant(_ value: Double) -> String {
  guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
  if abs(value) < 1e-4 {
    var (size, exponent) = (abs(value), 0)
    while size < 1 {
      size *= 10
      exponent += 1
    }
    return "\(value < 0 ? "-" : "")\(decimal(size, 1))e-\(exponent < 10 ? "0" : "")\(exponent)"
  }
  var (digits, size) = (2, abs(value))
  while size < 1 {
    size *= 10
    digits += 1
  }
  return decimal(value, min(digits, 7))
}
