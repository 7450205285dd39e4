import VLMCheckpoint
import VLMFoundation
import VLMModels
import VLMTensor

/// A tensor of a checkpoint or some rows of it, in our order, and scaled where that is asked for.
struct SourceTensor: Sendable {
  let stored: CheckpointTensor
  private let rows: RowOrder
  /// To every value, before it is scaled.
  private let added: Float
  private var factors: Rescaling.Factors?

  init(_ stored: CheckpointTensor, rows: RowOrder, added: Float = 0) {
    self.stored = stored
    self.rows = rows
    self.added = added
  }

  /// The same with its values multiplied.
  ///
  /// - Parameter factors: of rows in our order; nil to leave it as it is.
  func scaled(by factors: Rescaling.Factors?) -> SourceTensor {
    var tensor = self
    tensor.factors = factors
    return tensor
  }

  /// Whether `readFloats` gives other values than are stored.
  var isScaled: Bool { factors != nil || added != 0 }

  var name: String { stored.name }
  var source: MappedFile { stored.source }
  /// The position of its first byte, to read files front to back.
  var position: Int { stored.range.lowerBound }
  /// How a container has the elements; nil for a tensor of any other file.
  var container: ContainerElements? { stored.blocks as? ContainerElements }
  /// Outputs that had better be read together.
  var unit: Int { container?.unit ?? 1 }
  var elementCount: Int {
    guard case .part(_, let count) = rows, let all = stored.shape.first, all > 0 else {
      return stored.elementCount
    }
    return count * (stored.elementCount / all)
  }
  /// Bytes of the elements, each once.
  var byteCount: Int {
    guard case .part(_, let count) = rows, let all = stored.shape.first, all > 0 else {
      return stored.byteCount
    }
    return Int(Double(stored.byteCount) * Double(count) / Double(all))
  }

  /// The bytes that reading the elements `elements` touches, at most; none when the elements lie in
  /// memory.
  func fileRanges(ofElements elements: Range<Int>) -> [CheckpointTensor.FileRange] {
    switch rows {
    case .stored: return stored.fileRanges(ofElements: elements)
    case .interleavedRotary, .transposed:
      return stored.fileRanges(ofElements: 0..<stored.elementCount)
    case .part(let first, _):
      let before = first * (stored.elementCount / max(1, stored.shape.first ?? 1))
      return stored.fileRanges(
        ofElements: before + elements.lowerBound..<before + elements.upperBound)
    }
  }

  /// Writes the elements `range`, counted in C order, into `output` as 32-bit floats.
  func readFloats(
    _ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    try readStored(range, into: output)
    if added != 0 { for place in output.indices { output[place] += added } }
    guard let factors, let count = stored.shape.first, count > 0 else { return }
    let width = max(1, stored.elementCount / count)
    for (place, element) in range.enumerated() {
      let (row, column) = (element / width, element % width)
      output[place] *= (factors.rows?[row] ?? 1) * (factors.columns?[column] ?? 1)
    }
  }

  private func readStored(
    _ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    guard rows != .stored, let count = stored.shape.first, count > 0 else {
      return try stored.readFloats(range, into: output)
    }
    if rows == .transposed { return try readTransposed(range, inputs: count, into: output) }
    let width = stored.elementCount / count
    var position = range.lowerBound
    while position < range.upperBound {
      let (row, column) = (position / width, position % width)
      let end = min(range.upperBound, (row + 1) * width)
      let first = rows.source(of: row, count: count) * width + column
      let place = position - range.lowerBound
      try stored.readFloats(
        first..<first + end - position,
        into: UnsafeMutableBufferPointer(rebasing: output[place..<place + end - position]))
      position = end
    }
  }

  /// The same of a matrix whose stored rows are our columns; the whole is read for any part.
  private func readTransposed(
    _ range: Range<Int>, inputs: Int, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    let all = try stored.floats()
    let outputs = stored.elementCount / inputs
    for (place, element) in range.enumerated() {
      output[place] = all[element % inputs * outputs + element / inputs]
    }
  }
}

extension SourceModel {
  /// The checkpoint's tensor for our name `path`.
  func tensor(_ path: String) throws(ConversionError) -> SourceTensor {
    guard let source = checkpoint.tensors[path], let tensor = try catalog.tensor(of: source)
    else { throw ConversionError(path: catalog.path, .missing([path])) }
    return SourceTensor(tensor, rows: source.rows, added: source.added)
  }

  /// Checks that the checkpoint has exactly the tensors of `manifest`.
  ///
  /// Tensors that are no part of the model, and that it does not need, are left out silently here;
  /// the caller tells about them.
  func requireMatch(_ manifest: [TensorSpec], ignoreUnexpected: Bool) throws(ConversionError) {
    let missing = manifest.map(\.path).filter { checkpoint.tensors[$0] == nil }
    if let first = missing.first {
      throw ConversionError(
        path: catalog.path,
        .missing(
          missing, beside: checkpoint.tensors.neighbour(of: first),
          layout: checkpoint.naming == "meta" ? "Meta's original layout of a LLaMA" : nil))
    }
    for spec in manifest {
      guard let found = checkpoint.tensors[spec.path] else { continue }
      guard found.shape == spec.shape else {
        throw ConversionError(
          path: catalog.path,
          .shape(tensor: found.original, found: found.shape, expected: spec.shape))
      }
      let stored = try tensor(spec.path).stored
      if let blocks = stored.blocks, !blocks.isReadable {
        throw ConversionError(
          path: stored.source.path, .notReadable(tensor: found.original, type: blocks.name))
      }
      let dtype = stored.dtype
      guard dtype.isFloat else {
        throw ConversionError(
          path: catalog.path, .notFloat(tensor: found.original, found: dtype.rawValue))
      }
    }
    let known = Set(manifest.map(\.path))
    let unexpected =
      checkpoint.unexpected + strangeFrequencies
      + checkpoint.tensors.filter { !known.contains($0.key) }.map(\.value.original)
    if !ignoreUnexpected, let fault = checkpoint.headFault {
      throw ConversionError(path: catalog.path, .head(fault))
    }
    if !ignoreUnexpected, !unexpected.isEmpty {
      throw ConversionError(path: catalog.path, .unexpected(unexpected.sorted()))
    }
  }
}

extension SourceModel {
  /// Tables of a rotation's frequencies that the description does not give: code of old read them,
  /// so the model may be another one.
  private var strangeFrequencies: [String] {
    guard let config = description.language else { return [] }
    let known = [RotaryScaling.none, config.ropeScaling].map { scaling in
      scaling.frequencies(base: config.ropeBase, dimension: config.rotaryDimension, length: 1)
    }
    return checkpoint.frequencies.filter { name in
      guard let tensor = catalog[name], tensor.dtype.isConvertibleToFloat,
        tensor.elementCount == config.rotaryDimension / 2,
        let values = Self.floats(of: tensor)
      else { return true }
      return !known.contains { Self.isNear(values, $0) }
    }
  }

  private static func floats(of tensor: CheckpointTensor) -> [Float]? {
    var values = [Float](repeating: 0, count: tensor.elementCount)
    let isRead = values.withUnsafeMutableBufferPointer { buffer in
      do throws(CheckpointError) {
        try tensor.readFloats(0..<buffer.count, into: buffer)
        return true
      } catch { return false }
    }
    return isRead ? values : nil
  }

  /// Within what rounding to bfloat16, or to the smallest numbers of half precision, leaves.
  private static func isNear(_ values: [Float], _ expected: [Double]) -> Bool {
    zip(values, expected).allSatisfy { value, wanted in
      abs(Double(value) - wanted) <= wanted / 128 + 1e-7
    }
  }
}

extension DType {
  /// Types whose values a weight can be read from. Whole numbers are another tool's, which multiplies
  /// them with scales.
  var isFloat: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2: true
    default: false
    }
  }
}
