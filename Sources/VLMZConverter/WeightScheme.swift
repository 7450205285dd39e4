import VLMFoundation
import VLMTensor
import VLMZ

/// How the numbers of a tensor are stored. docs/quantization.md has the formats and what they cost.
public struct WeightScheme: Sendable, Hashable, CustomStringConvertible {
  package let scheme: Scheme

  package init(_ scheme: Scheme) { self.scheme = scheme }

  /// The scheme called `name`, one of `all`.
  ///
  /// - Throws: `VLMZError` with `.invalidArgument` for any other name.
  public init(named name: String) throws(VLMZError) {
    guard let scheme = Scheme(name: name) else {
      throw VLMZError(
        .invalidArgument,
        "scheme: found '\(name.escapedForDisplay())', expected one of "
          + Self.all.map(\.name).joined(separator: ", "))
    }
    self.init(scheme)
  }

  /// 32-bit floats, as the checkpoint has them.
  public static let f32 = WeightScheme(.f32)
  /// IEEE half precision.
  public static let f16 = WeightScheme(.f16)
  /// bfloat16.
  public static let bf16 = WeightScheme(.bf16)
  /// 8-bit codes, one scale per output.
  public static let q8 = WeightScheme(.q8)
  /// 4-bit codes, a step and an offset per 32 inputs, one scale per output: 4.5 bits per weight.
  public static let q4 = WeightScheme(.q4)

  /// 3-bit codes, otherwise as `q4`: 3.5 bits per weight.
  public static let q3 = WeightScheme(.q3)
  /// 5-bit codes, otherwise as `q4`: 5.5 bits per weight.
  public static let q5 = WeightScheme(.q5)
  /// 6-bit codes, otherwise as `q4`: 6.5 bits per weight.
  public static let q6 = WeightScheme(.q6)

  /// Every scheme that can be written.
  public static var all: [WeightScheme] { Scheme.allCases.map { WeightScheme($0) } }

  /// "f32", "f16", "bf16", "q8", "q4", "q3", "q5", "q6".
  public var name: String { scheme.name }

  /// The same as `name`.
  public var description: String { name }
}
