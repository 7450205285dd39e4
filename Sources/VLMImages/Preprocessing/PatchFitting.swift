/// The size of a picture that is cut into square patches, whose number is bounded: its proportions are
/// kept but for rounding.
enum PatchFitting {
  /// transformers' `get_image_size_for_max_num_patches`, with its arithmetic: the scale is searched by
  /// halving until it is known to 1e-5, and each side is rounded up to whole patches.
  ///
  /// - Parameters:
  ///   - side: pixels along a patch.
  ///   - count: patches at most. One is taken where not even the smallest scale fits.
  static func size(width: Int, height: Int, side: Int, count: Int) -> (width: Int, height: Int) {
    func patches(_ extent: Int, _ scale: Double) -> Double {
      max(1, (Double(extent) * scale / Double(side)).rounded(.up))
    }
    let precision = 1e-5
    var (least, most) = (precision / 10, 100.0)
    while most - least >= precision {
      let scale = (least + most) / 2
      let fits = patches(height, scale) * patches(width, scale) <= Double(count)
      if fits { least = scale } else { most = scale }
    }
    return (Int(patches(width, least)) * side, Int(patches(height, least)) * side)
  }
}
