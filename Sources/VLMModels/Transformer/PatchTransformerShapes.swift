import VLMTensor

/// The shapes of the tensors of a transformer over patches, by our names, and what they say of its
/// geometry.
struct PatchTransformerShapes {
  private let shapes: [String: [Int]]
  /// What stands before all of the names.
  private let scope: String

  init(_ shapes: [String: [Int]], scope: String = "") {
    (self.shapes, self.scope) = (shapes, scope)
  }

  subscript(name: String) -> [Int]? { shapes[scope + name] }

  /// Whether the tower has a module's tensors.
  func hasModule(_ name: String) -> Bool {
    shapes.keys.contains { $0.hasPrefix("\(scope)\(name).") }
  }

  /// - Throws: `ModelError` for a tensor that is missing or has another rank.
  func shape(_ name: String, rank: Int) throws(ModelError) -> [Int] {
    guard let shape = self[name] else { throw ModelError(.missingTensor(scope + name)) }
    guard shape.count == rank else {
      throw ModelError(
        .shape(scope + name, found: shape, expected: Array(repeating: -1, count: rank)))
    }
    return shape
  }

  /// Columns of a token and pixels along a patch, of a convolution that makes the patches.
  func patches() throws(ModelError) -> (width: Int, size: Int) {
    let name = "embeddings.patch.weight"
    let shape = try shape(name, rank: 4)
    guard shape[1] == 3, shape[2] == shape[3], shape[2] > 0 else {
      throw ModelError(
        .shape(scope + name, found: shape, expected: [shape[0], 3, shape[2], shape[2]]))
    }
    return (shape[0], shape[2])
  }

  /// Patches down and across the position table, and whether a class token has a row before theirs.
  ///
  /// - Parameters:
  ///   - classToken: whether there is one that has; nil where the table tells.
  ///   - others: rows between that and the patches'.
  ///   - stated: grids of pictures that are no squares, as a description has them; one that has as
  ///     many patches as the table is taken.
  ///   - key: where such a description has them; nil for a model whose pictures are squares.
  func table(
    classToken: Bool? = nil, others: Int = 0, stated: [MapExtent] = [], key: String? = nil
  ) throws(ModelError) -> (grid: MapExtent, hasClass: Bool) {
    let rows = try shape("embeddings.position", rank: 2)[0] - others
    let owns = [0, 1].filter { own in classToken.map { $0 == (own == 1) } ?? true }
    for grid in stated {
      let (count, overflow) = grid.height.multipliedReportingOverflow(by: grid.width)
      guard !overflow, count > 0, let own = owns.first(where: { rows - $0 == count }) else {
        continue
      }
      return (grid, own == 1)
    }
    for own in owns {
      let side = Int(Double(max(0, rows - own)).squareRoot().rounded())
      if side > 0, side * side == rows - own {
        return (MapExtent(height: side, width: side), own == 1)
      }
    }
    let square = "the square of a whole number"
    let usual =
      others > 0
      ? "\(1 + others) more than \(square)"
      : classToken == nil
        ? "\(square), or one more" : classToken == true ? "one more than \(square)" : square
    throw ModelError(
      .configuration(
        field: "position_embedding", found: "\(rows + others) rows",
        expected: usual
          + (key.map { ", or a height and a width of as many patches in \($0)" } ?? "")))
  }

  /// What a picture's height and width become that the description states, or patches fill.
  ///
  /// - Parameters:
  ///   - grid: the position table's.
  ///   - stated: by their names; those of another grid are refused.
  ///   - isExact: whether a picture may be larger than what patches fill.
  /// - Returns: no width for a square, and 0 for what is too large.
  static func image(
    _ grid: MapExtent, patchSize: Int, stated: [(field: String, value: MapExtent)],
    isExact: Bool
  ) throws(ModelError) -> (height: Int, width: Int?) {
    let (height, overflow) = grid.height.multipliedReportingOverflow(by: patchSize)
    let (width, tooWide) = grid.width.multipliedReportingOverflow(by: patchSize)
    guard !overflow, !tooWide, height > 0, width > 0 else { return (0, nil) }
    func text(_ size: MapExtent) -> String {
      size.height == size.width ? "\(size.height)" : "[\(size.height), \(size.width)]"
    }
    let filled = MapExtent(height: height, width: width)
    for (field, size) in stated {
      let patches = MapExtent(height: size.height / patchSize, width: size.width / patchSize)
      guard patches == grid else {
        throw ModelError(
          .configuration(
            field: field, found: text(size),
            expected: "\(text(filled)), which the position table has"))
      }
    }
    let image = isExact ? filled : stated.first?.value ?? filled
    return (image.height, image.width == image.height ? nil : image.width)
  }

  /// Those that a layer's name may have.
  static let layerIndices = 0..<1000

  /// Our name of a weight or a bias of a module that has one in `modules`; nil for any other tensor.
  static func module(_ name: String, of modules: [String: String]) -> String? {
    guard let dot = name.lastIndex(of: "."), let ours = modules[String(name[..<dot])] else {
      return nil
    }
    let leaf = name[name.index(after: dot)...]
    return leaf == "weight" || leaf == "bias" ? "\(ours).\(leaf)" : nil
  }

  /// Layers that the names have.
  ///
  /// - Throws: `ModelError` for none.
  func layers() throws(ModelError) -> Int {
    var count = 0
    for name in shapes.keys {
      guard let rest = name.dropping(scope + "layers."),
        let index = rest.split(separator: ".").first.flatMap({ Int($0) }),
        Self.layerIndices.contains(index)
      else { continue }
      count = max(count, index + 1)
    }
    guard count > 0 else { throw ModelError(.missingTensor(scope + "layers.0.mlp.fc1.weight")) }
    return count
  }
}

extension TransformerConfig {
  /// Whether a tensor of ours is of a layer that runs, or of none.
  func runs(_ name: String) -> Bool {
    guard let rest = name.dropping("layers."), let dot = rest.firstIndex(of: ".") else {
      return true
    }
    return Int(rest[..<dot]).map { $0 < layers } ?? true
  }
}
