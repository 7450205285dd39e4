import VLMCheckpoint
import VLMModels
import VLMTensor

extension TensorCatalog {
  /// The tensor that a model's is read from: the checkpoint's own, or what follows from several of
  /// its.
  ///
  /// - Returns: nil where the checkpoint lacks one.
  /// - Throws: `ConversionError` for one that holds no floats.
  func tensor(
    of source: ModelCheckpoint.Source
  ) throws(ConversionError) -> CheckpointTensor? {
    guard let fold = source.fold else { return self[source.original] }
    var parts: [FoldedElements.Part] = []
    var file: CheckpointTensor?
    for branch in fold.branches {
      for name in branch.names {
        guard let tensor = self[name] else { return nil }
        guard tensor.dtype.isFloat, tensor.blocks?.isReadable ?? true else {
          throw ConversionError(path: path, .notFloat(tensor: name, found: tensor.typeName))
        }
        file = file ?? tensor
      }
      guard let part = try FoldedElements.Part(branch, self, outputs: source.shape.first ?? 1)
      else { return nil }
      parts.append(part)
    }
    guard let file else { return nil }
    // Its elements lie in no bytes of the file's.
    return CheckpointTensor(
      name: source.original, shape: source.shape, source: file.source, range: 0..<0,
      elements: FoldedElements(part: fold.part, shape: source.shape, parts: parts))
  }
}

/// Elements of a `TensorFold`, worked out as they are read.
private struct FoldedElements: StoredElements {
  /// A branch, reduced to a kernel with a factor for each of its outputs, and what is added to
  /// each.
  struct Part: Sendable {
    /// Nil for the identity.
    let kernel: CheckpointTensor?
    let factors: [Double]
    let shifts: [Double]
  }

  let part: TensorFold.Part
  let shape: [Int]
  let parts: [Part]

  var name: String { "F32" }
  var isReadable: Bool { true }

  private var outputs: Int { shape.first ?? 1 }
  private var perOutput: Int { shape.dropFirst().reduce(1, *) }

  func byteRange(ofElements elements: Range<Int>) -> Range<Int> { 0..<0 }

  func decode(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
    into output: UnsafeMutableBufferPointer<Float>
  ) {
    if part == .bias {
      for (place, element) in range.enumerated() {
        output[place] = Float(parts.reduce(0) { $0 + $1.shifts[element] })
      }
      return
    }
    let width = perOutput
    guard width > 0, !range.isEmpty else { return }
    for row in range.lowerBound / width...(range.upperBound - 1) / width {
      let values = kernel(row)
      let first = max(range.lowerBound, row * width)
      for element in first..<min(range.upperBound, (row + 1) * width) {
        output[element - range.lowerBound] = Float(values[element - row * width])
      }
    }
  }

  /// The folded kernel of one output.
  private func kernel(_ row: Int) -> [Double] {
    let (height, width) = shape.count == 4 ? (shape[2], shape[3]) : (1, 1)
    let inputs = perOutput / (height * width)
    var sum = [Double](repeating: 0, count: perOutput)
    for part in parts {
      guard let kernel = part.kernel else {
        let centre = height / 2 * width + width / 2
        sum[row % inputs * height * width + centre] += part.factors[row]
        continue
      }
      let own = kernel.shape.count == 4 ? (kernel.shape[2], kernel.shape[3]) : (1, 1)
      let count = inputs * own.0 * own.1
      let margin = (y: (height - own.0) / 2, x: (width - own.1) / 2)
      var values = [Float](repeating: .nan, count: count)
      values.withUnsafeMutableBufferPointer { buffer in
        // Its type was checked; what cannot be read all the same is counted as no number.
        try? kernel.readFloats(row * count..<(row + 1) * count, into: buffer)
      }
      for (index, value) in values.enumerated() {
        let (input, y, x) = (index / (own.0 * own.1), index / own.1 % own.0, index % own.1)
        let place = (input * height + y + margin.y) * width + x + margin.x
        sum[place] += Double(value) * part.factors[row]
      }
    }
    return sum
  }
}

extension FoldedElements.Part {
  /// Nil where a tensor is missing or has another number of values than `outputs`.
  init?(
    _ branch: TensorFold.Branch, _ catalog: TensorCatalog, outputs: Int
  ) throws(ConversionError) {
    func values(_ name: String?, _ fallback: Double) throws(ConversionError) -> [Double]? {
      guard let name else { return Array(repeating: fallback, count: outputs) }
      guard let tensor = catalog[name], tensor.elementCount == outputs else { return nil }
      do throws(CheckpointError) { return try tensor.floats().map(Double.init) } catch {
        throw ConversionError(
          path: catalog.path, .notReadable(tensor: name, type: tensor.typeName))
      }
    }
    let norm = branch.norm
    guard let scale = try values(branch.scale, 1), let bias = try values(branch.bias, 0),
      let weight = try values(norm?.weight, 1), let shift = try values(norm?.bias, 0),
      let mean = try values(norm?.mean, 0), let variance = try values(norm?.variance, 1)
    else { return nil }
    kernel = branch.kernel.flatMap { catalog[$0] }
    let sign: Double = branch.isSubtracted ? -1 : 1
    var (factors, shifts): ([Double], [Double]) = ([], [])
    for index in 0..<outputs {
      // Without a norm the variance is 1 and nothing is added to it.
      let deviation = (variance[index] + Double(norm?.epsilon ?? 0)).squareRoot()
      let factor = weight[index] / deviation
      factors.append(sign * scale[index] * factor)
      shifts.append(sign * scale[index] * (shift[index] + (bias[index] - mean[index]) * factor))
    }
    (self.factors, self.shifts) = (factors, shifts)
  }
}
