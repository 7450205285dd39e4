/// How the values of a tensor are stored in a container; `formats/blocks.md` is normative.
///
/// A handle of two words on the scheme's descriptor. Code outside of this folder asks a scheme what
/// it can do, never which one it is (`scripts/lint` checks it), so that a new one is a folder here
/// and a place in `allCases`: see `docs/adding-a-scheme.md`.
package struct Scheme: Sendable {
  package let descriptor: any SchemeDescriptor.Type

  init(_ descriptor: any SchemeDescriptor.Type) { self.descriptor = descriptor }
}

extension Scheme: CaseIterable {
  /// Every scheme, in the order of their codes: the list that a new one joins.
  package static let allCases: [Scheme] = [
    .f32, .f16, .bf16, .q8, .q4, .q3, .q5, .q6,
  ]
}

extension Scheme: Hashable {
  package static func == (a: Scheme, b: Scheme) -> Bool { a.code == b.code }
  package func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension Scheme: CustomStringConvertible {
  package var description: String { name }
}

extension Scheme {
  /// The scheme of a code in a container; nil for one that this build does not know.
  package init?(code: UInt8) {
    guard let scheme = Scheme.allCases.first(where: { $0.code == code }) else { return nil }
    self = scheme
  }

  /// The scheme of that name; nil for an unknown one.
  package init?(name: String) {
    guard let scheme = Scheme.allCases.first(where: { $0.name == name }) else { return nil }
    self = scheme
  }

  /// The scheme that stores values of `type` as they are, one after the other; nil when none does.
  package init?(storing type: DType) {
    let match = Scheme.allCases.first { $0.rowMajor != nil && $0.valueType == type }
    guard let match else { return nil }
    self = match
  }

  package var code: UInt8 { descriptor.code }
  package var readVersion: Int { descriptor.readVersion }
  package var name: String { descriptor.name }
  package var summary: String { descriptor.summary }
  package var codeBits: Int { descriptor.codeBits }
  package var bitsPerWeight: Double { descriptor.bitsPerWeight }
  package var isExact: Bool { descriptor.isExact }
  package var fallback: Scheme? { descriptor.fallback }
  package var valueType: DType { descriptor.valueType }
  package var arithmetic: ProductArithmetic { descriptor.arithmetic }
  package var panels: (any PanelScheme.Type)? { descriptor.panels }
  package var rowMajor: (any RowMajorScheme.Type)? { descriptor.rowMajor }

  /// How a matrix is stored: in panels where the scheme has them.
  package var matrixLayout: TensorLayout { panels == nil ? .rowMajor : .panels }

  /// What multiplies by weights of this scheme, bound once when a product is made.
  package func kernel(in kernels: KernelSet) -> ProductKernel {
    descriptor.kernel(in: kernels.table.pointee)
  }
}
