import CVLMKernels
import VLMFoundation

/// Matrices with the errors of another scheme, to see what they do to a model.
extension Tensor {
  /// This matrix with the values that `scheme` would leave of it, stored as before.
  ///
  /// - Parameters:
  ///   - scheme: one that has panels.
  ///   - statistics: what its encoder goes by.
  ///   - every: one of so many panels of 16 outputs is rounded, the one in the middle; the others
  ///     stay as they are.
  /// - Precondition: a matrix in its scheme's matrix layout.
  package func rounded(
    to scheme: Scheme, _ statistics: CalibrationStatistics?, every step: Int = 1,
    kernels: KernelSet, pool: WorkerPool
  ) -> Tensor {
    guard let (outputs, inputs) = format.matrixShape(shape),
      let panelBytes = TensorFormat(scheme: scheme, layout: .panels)
        .panelByteCount(inputs: inputs)
    else { preconditionFailure("a matrix") }
    let width = TensorFormat.panelOutputs
    let ownPanel = format.layout == .panels ? format.panelByteCount(inputs: inputs) ?? 0 : 0
    let rowBytes = (format.scheme.rowMajor?.elementByteCount ?? 0) * inputs
    let file = MappedFile(name: name, byteCount: bytes.count) { target in
      let target = SharedBytes(target)
      pool.forEach(count: (outputs + width - 1) / width) { panel, _ in
        let rows = panel * width..<min(outputs, (panel + 1) * width)
        if panel % step != step / 2 {
          let stored =
            format.layout == .panels
            ? panel * ownPanel..<(panel + 1) * ownPanel
            : rows.lowerBound * rowBytes..<rows.upperBound * rowBytes
          return target.copy(stored, of: bytes)
        }
        let memory = Activations(count: rows.count * inputs)
        copy(rows: rows, into: memory.matrix(rows: rows.count, columns: inputs))
        let encoded = UnsafeMutableRawPointer.allocate(byteCount: panelBytes, alignment: 64)
        defer { encoded.deallocate() }
        memory.withValues(rows.count * inputs) { values in
          guard let values = values.baseAddress else { return }
          _ = PanelEncoder.encode(
            rows: values, rowCount: rows.count, rowStride: inputs, inputs: inputs, scheme: scheme,
            statistics: statistics, kernels: kernels, into: encoded)
          PanelEncoder.decode(
            panel: encoded, scheme: scheme, inputs: inputs, rowCount: rows.count, into: values,
            rowStride: inputs)
          if format.layout == .panels {
            _ = PanelEncoder.encode(
              rows: values, rowCount: rows.count, rowStride: inputs, inputs: inputs,
              scheme: format.scheme, kernels: kernels, into: target.base + panel * ownPanel)
          } else {
            format.scheme.rowMajor?.convert(
              values, count: rows.count * inputs,
              into: target.base + rows.lowerBound * rowBytes)
          }
        }
      }
    }
    return Tensor(name: name, shape: shape, format: format, file: file, range: 0..<bytes.count)
  }

  /// Rows `rows` of a matrix as floats, `[rows.count, inputs]`.
  package func copy(rows: Range<Int>, into output: MatrixView) {
    precondition(output.rows == rows.count, "a row for each")
    guard let base = bytes.baseAddress else { return }
    for (place, row) in rows.enumerated() {
      format.scheme.descriptor.copyRow(
        row, of: base, inputs: output.columns, into: output.base + place * output.stride)
    }
  }

  /// Σ e M eᵀ / Σ w M wᵀ over rows w of this matrix and e, what they are away from those of
  /// `other`, with M the metric of the inputs; 0 where the rows do nothing.
  ///
  /// - Parameter samples: the rows that are compared.
  package func relativeError(
    of other: Tensor, _ metric: ProductMetric, samples: [Range<Int>], kernels: KernelSet
  ) -> Double {
    guard let (_, inputs) = format.matrixShape(shape) else { return 0 }
    var (error, value) = (0.0, 0.0)
    for rows in samples {
      let (own, changed) = (
        Activations(count: rows.count * inputs), Activations(count: rows.count * inputs)
      )
      let weights = own.matrix(rows: rows.count, columns: inputs)
      let differences = changed.matrix(rows: rows.count, columns: inputs)
      copy(rows: rows, into: weights)
      other.copy(rows: rows, into: differences)
      for row in 0..<rows.count {
        for input in 0..<inputs { differences[row, input] -= weights[row, input] }
      }
      value += metric.sum(of: weights, kernels: kernels)
      error += metric.sum(of: differences, kernels: kernels)
    }
    return value > 0 ? error / value : 0
  }
}

/// Bytes of which each thread writes its own.
private struct SharedBytes: @unchecked Sendable {
  let base: UnsafeMutableRawPointer

  func copy(_ range: Range<Int>, of bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count)
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  init(_ buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.baseAddress != nil, "a matrix with values")
    base = buffer.baseAddress!
  }
}
