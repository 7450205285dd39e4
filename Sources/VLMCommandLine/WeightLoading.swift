import VLMFoundation
import VLMTensor

/// Brings weights that are not in the system's cache there before they are used, front to back and
/// with its progress shown: touched by the layers one page at a time they would come slower, and
/// nobody would know what the program waits for.
package enum WeightLoading {
  /// Bytes asked for at a time.
  private static let piece = 64 << 20
  /// Files with a larger share in memory are used as they are.
  private static let warmShare = 0.98
  /// What is left of the free memory for everything else.
  private static let reserve = 512 << 20

  /// Loads the bytes `range` of `file`, unless they are there or would not fit.
  ///
  /// - Returns: the seconds that it took; 0 where nothing was to be done.
  @discardableResult
  package static func load(_ file: MappedFile, _ range: Range<Int>, quiet: Bool) -> Double {
    guard file.residentShare(range) < warmShare,
      let available = Machine.availableMemory, range.count < available - reserve
    else { return 0 }
    let progress = Progress("loading", total: range.count, unit: .bytes, quiet: quiet)
    let start = Progress.now()
    var position = range.lowerBound
    while position < range.upperBound {
      let end = min(range.upperBound, position + piece)
      guard file.load(position..<end, next: min(piece, range.upperBound - end)) else { break }
      position = end
      progress.update(position - range.lowerBound)
    }
    progress.finish()
    return Progress.now() - start
  }
}
