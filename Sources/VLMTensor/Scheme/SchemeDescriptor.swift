import CVLMKernels

/// Everything that tells one scheme of storage from another. A conforming type is never made: it is
/// a name for these values and functions.
///
/// A scheme also conforms to `PanelScheme`, to `RowMajorScheme` or to both, by the layouts it has.
package protocol SchemeDescriptor: Sendable {
  /// The number that stands for the scheme in a container (`formats/blocks.md`); never reused.
  static var code: UInt8 { get }
  /// The `Read_Version` of a container that has tensors of the scheme (`formats/vlmz.md`).
  static var readVersion: Int { get }
  /// What `--tensor-type`, reports and names of benchmarks call it, and the option `--<name>` of
  /// `vlm-convert`: lower-case ASCII.
  static var name: String { get }
  /// What the help of `vlm-convert` says of it, half a line.
  static var summary: String { get }

  /// Bits of the code of one value.
  static var codeBits: Int { get }
  /// Bits that a weight of a large matrix takes, with its share of what belongs to several.
  static var bitsPerWeight: Double { get }
  /// Whether every f32 comes back as it was.
  static var isExact: Bool { get }
  /// The scheme for tensors that would lose too much in this one; nil when it is good for all. Which
  /// those are is for `QuantizationPolicy` to say.
  static var fallback: Scheme? { get }
  /// The narrowest element type that holds every decoded value as it is.
  static var valueType: DType { get }
  /// What the multiply-adds of its products are made of.
  static var arithmetic: ProductArithmetic { get }

  /// The scheme in panels of 16 outputs; nil for one without. `PanelScheme` answers it.
  static var panels: (any PanelScheme.Type)? { get }
  /// The scheme in the order of the shape; nil for one without. `RowMajorScheme` answers it.
  static var rowMajor: (any RowMajorScheme.Type)? { get }

  /// What multiplies by a matrix of the scheme, out of a table of kernels.
  static func kernel(in table: vlm_kernels) -> ProductKernel

  /// Writes row `row` of a matrix as floats: `[inputs]`, each rounded once.
  ///
  /// - Precondition: `weights` are all bytes of a matrix in the scheme's matrix layout with that
  ///   row.
  static func copyRow(
    _ row: Int, of weights: UnsafeRawPointer, inputs: Int,
    into values: UnsafeMutablePointer<Float>)
}

extension SchemeDescriptor {
  package static var readVersion: Int { 1 }
  package static var isExact: Bool { false }
  package static var fallback: Scheme? { nil }
  package static var panels: (any PanelScheme.Type)? { nil }
  package static var rowMajor: (any RowMajorScheme.Type)? { nil }
}

/// The operands of a product's multiply-adds, for comparison with what a machine can do at most.
package enum ProductArithmetic: Sendable {
  /// u8 activations times int8 weights.
  case int8
  /// Pairs of bf16 on the sets of kernels that have them; the others widen them to f32.
  case bf16
  /// f32, or values widened to it.
  case f32
}
