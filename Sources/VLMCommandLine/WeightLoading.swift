import VLMFoundation
import VLMTensor

/// Reads weights into the page cache before they are used, front to back and with progress shown.
/// Page faults of the layers would read them more slowly, and without a word to the user.
package enum WeightLoading {
  /// Bytes asked for at a time.
  private static let piece = 64 << 20
  /// Files with a larger share in the page cache are not read.
  private static let warmShare = 0.98
  /// Free memory that is left for everything else, bytes.
  private static let reserve = 512 << 20

  /// Loads the bytes `range` of `file`, unless they are cached already or would not fit.
  ///
  /// - Returns: the seconds that it took; 0 where nothing was read.
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
