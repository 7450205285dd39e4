/// Checkpoint order, the C order of the shape, to the order of storage and back.
///
/// The caller has checked `shape` with `TensorFormat.byteCount`: four axes for the orders that need
/// four, and no overflow. `Element` is a float or, for 16-bit sources, an integer of its width.
extension AxisOrder {
  /// Puts the outputs `outputs` (axis 0 of `shape`) in storage order.
  ///
  /// - Parameters:
  ///   - source: the values of those outputs only, in checkpoint order.
  ///   - destination: for `natural` and `channelsLast`, room for those outputs only; for
  ///     `tapsFirst`, whose storage interleaves all channels, the whole tensor.
  package func store<Element>(
    _ source: UnsafePointer<Element>, shape: [Int], outputs: Range<Int>,
    into destination: UnsafeMutablePointer<Element>
  ) {
    forEachPair(shape: shape, outputs: outputs) { checkpoint, storage in
      destination[storage] = source[checkpoint]
    }
  }

  /// The inverse of `store`, with the same meaning of the two pointers.
  package func restore<Element>(
    _ source: UnsafePointer<Element>, shape: [Int], outputs: Range<Int>,
    into destination: UnsafeMutablePointer<Element>
  ) {
    forEachPair(shape: shape, outputs: outputs) { checkpoint, storage in
      destination[checkpoint] = source[storage]
    }
  }

  /// Calls `move` with the offset of every value in the two orders.
  @inline(__always)
  private func forEachPair(shape: [Int], outputs: Range<Int>, move: (Int, Int) -> Void) {
    let width = shape.dropFirst().reduce(1, *)
    switch self {
    case .natural:
      for index in 0..<outputs.count * width { move(index, index) }
    case .channelsLast:
      // [out, in, height * width] -> [out, height * width, in]
      let (inputs, area) = (shape[1], shape[2] * shape[3])
      for output in 0..<outputs.count {
        for input in 0..<inputs {
          let row = output * width
          for tap in 0..<area { move(row + input * area + tap, row + tap * inputs + input) }
        }
      }
    case .tapsFirst:
      // [channels, 1, height * width] -> [height * width, channels]
      for (index, channel) in outputs.enumerated() {
        for tap in 0..<width { move(index * width + tap, tap * shape[0] + channel) }
      }
    }
  }
}
