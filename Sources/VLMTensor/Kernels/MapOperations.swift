/// Plain loops over feature maps, for work that is small beside the products around it. Every
/// function runs on the calling thread.
extension MatrixView {
  /// The columns of `range`, of all rows.
  package subscript(columns range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns inside the matrix")
    return MatrixView(
      base: base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// `self += other * factor`, element by element.
  package func add(_ other: MatrixView, times factor: Float = 1) {
    precondition(other.rows == rows && other.columns == columns, "same shape")
    for row in 0..<rows {
      let (y, x) = (base + row * stride, other.base + row * other.stride)
      for column in 0..<columns { y[column] += x[column] * factor }
    }
  }

  /// `self = residual + gamma * self`, without each part that is nil; gamma has a value per column.
  package func rejoin(_ residual: MatrixView?, gamma: Tensor?) {
    precondition(gamma.map { $0.elementCount == columns } ?? true, "a value per column")
    if let gamma {
      let factors = gamma.floats
      for row in 0..<rows {
        let y = base + row * stride
        for column in 0..<columns { y[column] *= factors[column] }
      }
    }
    if let residual { add(residual) }
  }
}

extension KernelSet {
  /// `x = activation(x)`, element by element.
  package func activate(_ activation: Activation, _ x: MatrixView) {
    for row in 0..<x.rows {
      let start = x.base + row * x.stride
      table.pointee.activation_f32(x.columns, activation.kernel, start, start)
    }
  }
}

/// Extent of one feature map, whose pixels are the rows of a matrix.
package struct MapExtent: Sendable, Equatable {
  package let height: Int
  package let width: Int

  package init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  package var count: Int { height * width }
}

/// Bilinear resampling whose corner pixels are those of the source (`align_corners`): two taps a
/// side and no prefilter however much it shrinks. Output `i` lies at `i * (in - 1) / (out - 1)`.
package struct CornerAlignedBilinear: Sendable {
  package let source: MapExtent
  package let target: MapExtent

  package init(from source: MapExtent, to target: MapExtent) {
    self.source = source
    self.target = target
  }

  /// Lines `lines` of the target.
  ///
  /// - Parameters:
  ///   - input: `[source.count, channels]`.
  ///   - output: `[lines.count * target.width, channels]`.
  package func callAsFunction(_ input: MatrixView, lines: Range<Int>, into output: MatrixView) {
    precondition(input.rows == source.count && input.columns == output.columns, "source map")
    precondition(output.rows == lines.count * target.width, "target lines")
    for (index, line) in lines.enumerated() {
      let y = Self.taps(line, source.height, target.height)
      for column in 0..<target.width {
        let x = Self.taps(column, source.width, target.width)
        let topLeft = input.base + (y.low * source.width + x.low) * input.stride
        let topRight = input.base + (y.low * source.width + x.high) * input.stride
        let bottomLeft = input.base + (y.high * source.width + x.low) * input.stride
        let bottomRight = input.base + (y.high * source.width + x.high) * input.stride
        let result = output.base + (index * target.width + column) * output.stride
        for channel in 0..<input.columns {
          let top = topLeft[channel] * (1 - x.weight) + topRight[channel] * x.weight
          let bottom = bottomLeft[channel] * (1 - x.weight) + bottomRight[channel] * x.weight
          result[channel] = top * (1 - y.weight) + bottom * y.weight
        }
      }
    }
  }

  /// The two source positions of output `index`, and the weight of the second.
  static func taps(
    _ index: Int, _ source: Int, _ target: Int
  ) -> (low: Int, high: Int, weight: Float) {
    let scale = target > 1 ? Float(source - 1) / Float(target - 1) : 0
    let position = scale * Float(index)
    let low = min(Int(position), source - 1)
    return (low, min(low + 1, source - 1), position - Float(low))
  }
}

/// Means over windows of `ratio × ratio` pixels that lie side by side.
package struct AveragePool: Sendable {
  package let source: MapExtent
  package let ratio: Int

  package init(_ source: MapExtent, ratio: Int) {
    self.source = source
    self.ratio = ratio
  }

  package var target: MapExtent {
    MapExtent(height: source.height / ratio, width: source.width / ratio)
  }

  /// Lines `lines` of the target; shapes as for `CornerAlignedBilinear`.
  package func callAsFunction(_ input: MatrixView, lines: Range<Int>, into output: MatrixView) {
    precondition(input.rows == source.count && input.columns == output.columns, "source map")
    precondition(output.rows == lines.count * target.width, "target lines")
    let scale = 1 / Float(ratio * ratio)
    for (index, line) in lines.enumerated() {
      for column in 0..<target.width {
        let result = output.base + (index * target.width + column) * output.stride
        result.update(repeating: 0, count: input.columns)
        for dy in 0..<ratio {
          for dx in 0..<ratio {
            let pixel = (line * ratio + dy) * source.width + column * ratio + dx
            let value = input.base + pixel * input.stride
            for channel in 0..<input.columns { result[channel] += value[channel] }
          }
        }
        for channel in 0..<input.columns { result[channel] *= scale }
      }
    }
  }
}
