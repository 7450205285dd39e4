/// Sees the rows that matrices are multiplied by, as calibration does. Models that are built on
/// `Weights` without one pay a comparison with nil for each product.
package protocol ProductObserver: AnyObject, Sendable {
  /// Called before a product is computed, with its input as the layer made it: `[rows, inputs]`, not
  /// yet quantized, and valid until the call returns.
  ///
  /// Products that a pool shares out are shown by the thread that called them. Those that a layer
  /// computes tile by tile are shown by the thread that has the tile, several at a time and in any
  /// order.
  ///
  /// - Parameter weights: the matrices that share this input, such as those of query, key and value.
  func willMultiply(_ weights: [Tensor], by rows: MatrixView)
}

extension MatrixProduct {
  /// Shows `rows` to the observer as if they were multiplied.
  package func show(_ rows: MatrixView) { observer?.willMultiply([weight], by: rows) }

  /// Shows the input of products that share it.
  static func show(_ input: MatrixView, of tasks: [Task]) {
    guard let observer = tasks.first?.product.observer else { return }
    observer.willMultiply(tasks.map(\.product.weight), by: input)
  }
}
