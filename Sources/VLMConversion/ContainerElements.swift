import VLMCheckpoint
import VLMContainer
import VLMTensor

/// The elements of a tensor as a container stores them: in panels, or in another order of axes.
struct ContainerElements: StoredElements {
  let format: TensorFormat
  let shape: [Int]
  /// XXH64 of the tensor's bytes, as the container states it.
  let checksum: UInt64

  var name: String { format.scheme.name }
  var isReadable: Bool { true }

  /// Along axis 0; a scalar has one.
  private var outputs: Int { shape.first ?? 1 }
  private var perOutput: Int { max(1, shape.dropFirst().reduce(1, *)) }

  /// Outputs that lie together: whole panels, or all where storage interleaves them.
  var unit: Int {
    if format.order == .tapsFirst { return max(1, outputs) }
    return format.layout == .panels ? TensorFormat.panelOutputs : 1
  }

  /// The outputs of whole units that have all of `elements`.
  private func outputs(around elements: Range<Int>) -> Range<Int> {
    guard !elements.isEmpty else { return 0..<0 }
    let first = elements.lowerBound / perOutput / unit * unit
    let last = (elements.upperBound - 1) / perOutput / unit * unit
    return first..<min(outputs, last + unit)
  }

  private var isPlain: Bool { format.layout == .rowMajor && format.order == .natural }

  func byteRange(ofElements elements: Range<Int>) -> Range<Int> {
    if format.layout == .panels, let (_, inputs) = format.matrixShape(shape),
      let size = format.panelByteCount(inputs: inputs)
    {
      let (outputs, panel) = (outputs(around: elements), TensorFormat.panelOutputs)
      return outputs.lowerBound / panel * size..<(outputs.upperBound + panel - 1) / panel * size
    }
    let width = format.scheme.rowMajor?.elementByteCount ?? 0
    guard !isPlain else { return elements.lowerBound * width..<elements.upperBound * width }
    let outputs = outputs(around: elements)
    return outputs.lowerBound * perOutput * width..<outputs.upperBound * perOutput * width
  }

  func decode(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    into output: UnsafeMutableBufferPointer<Float>
  ) {
    guard let start = bytes.baseAddress, let target = output.baseAddress, !range.isEmpty else {
      return
    }
    if isPlain { return decodeRow(start, range, into: target) }
    let outputs = outputs(around: range)
    let whole = outputs.lowerBound * perOutput..<outputs.upperBound * perOutput
    guard whole != range else { return decode(start, outputs, into: target) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: whole.count) { values in
      guard let base = values.baseAddress else { return }
      decode(start, outputs, into: base)
      target.update(from: base + (range.lowerBound - whole.lowerBound), count: range.count)
    }
  }

  /// The values of whole units, in C order of the shape.
  private func decode(
    _ start: UnsafeRawPointer, _ range: Range<Int>, into values: UnsafeMutablePointer<Float>
  ) {
    guard format.order != .natural else { return decodeStored(start, range, into: values) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count * perOutput) { stored in
      guard let base = stored.baseAddress else { return }
      decodeStored(start, range, into: base)
      format.order.restore(base, shape: shape, outputs: range, into: values)
    }
  }

  /// The same in the order of storage.
  private func decodeStored(
    _ start: UnsafeRawPointer, _ range: Range<Int>, into values: UnsafeMutablePointer<Float>
  ) {
    guard format.layout == .panels, let size = format.panelByteCount(inputs: perOutput) else {
      return decodeRow(
        start, range.lowerBound * perOutput..<range.upperBound * perOutput, into: values)
    }
    for row in stride(from: range.lowerBound, to: range.upperBound, by: TensorFormat.panelOutputs) {
      PanelEncoder.decode(
        panel: start + row / TensorFormat.panelOutputs * size, scheme: format.scheme,
        inputs: perOutput, rowCount: min(TensorFormat.panelOutputs, range.upperBound - row),
        into: values + (row - range.lowerBound) * perOutput, rowStride: perOutput)
    }
  }

  /// Values that lie one after the other.
  private func decodeRow(
    _ start: UnsafeRawPointer, _ range: Range<Int>, into values: UnsafeMutablePointer<Float>
  ) {
    guard let scheme = format.scheme.rowMajor else { return }
    scheme.restore(
      start + range.lowerBound * scheme.elementByteCount, count: range.count, into: values)
  }

  /// The first of the panels of `range` that breaks a rule of `formats/blocks.md`, and how.
  ///
  /// - Parameter bytes: all of the tensor's.
  func fault(in bytes: UnsafeRawBufferPointer, outputs range: Range<Int>) -> String? {
    guard format.layout == .panels, let start = bytes.baseAddress,
      let size = format.panelByteCount(inputs: perOutput)
    else { return nil }
    for row in stride(from: range.lowerBound, to: range.upperBound, by: TensorFormat.panelOutputs) {
      let fault = PanelFault.first(
        in: start + row / TensorFormat.panelOutputs * size, scheme: format.scheme,
        inputs: perOutput, rowCount: min(TensorFormat.panelOutputs, range.upperBound - row))
      if let fault { return "panel \(row / TensorFormat.panelOutputs): \(fault)" }
    }
    return nil
  }
}

extension CheckpointTensor {
  /// A tensor of a container.
  init(_ entry: TensorEntry, of container: Container) {
    self.init(
      name: entry.name, shape: entry.shape, source: container.file, range: entry.range,
      elements: ContainerElements(
        format: entry.format, shape: entry.shape, checksum: entry.checksum))
  }
}

extension Container {
  /// The tensors as those of a checkpoint, under their own names.
  var catalog: TensorCatalog {
    TensorCatalog(
      path: path, tensors: tensors.map { CheckpointTensor($0, of: self) }, format: .container)
  }
}
