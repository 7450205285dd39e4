import VLMCheckpoint
import VLMContainer
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// What models of these statistics were found to lose, which is kept with them.
///
/// The array `vlmz.losses`, F64 `[16, 2]`, has what was expected of a mixture and what was measured,
/// a row for each that was run, and zeros behind them. It is the only part of the file that changes
/// after the calibration; files of before lack it.
extension StatisticsFile {
  static let lossesName = "vlmz.losses"
  static let lossesShape = [MeasuredLosses.capacity, 2]
  static let lossesByteCount = MeasuredLosses.capacity * 2 * MemoryLayout<Double>.stride

  /// What is kept; none where the file has no room for it.
  package var losses: MeasuredLosses {
    guard let tensor = catalog[Self.lossesName] else { return MeasuredLosses() }
    let values = Self.doubles(tensor)
    return MeasuredLosses(
      stride(from: 0, to: values.count - 1, by: 2).map {
        .init(expected: values[$0], measured: values[$0 + 1])
      })
  }

  /// Keeps what is known of losses in the file for later conversions.
  ///
  /// - Returns: whether it is kept: a file that is read-only, or of an earlier version, stays as it is.
  @discardableResult
  package func keep(_ losses: MeasuredLosses) -> Bool {
    guard let tensor = catalog[Self.lossesName], tensor.byteCount == Self.lossesByteCount else {
      return false
    }
    var values = losses.points.flatMap { [$0.expected, $0.measured] }
    values += [Double](repeating: 0, count: 2 * MeasuredLosses.capacity - values.count)
    let file = FileSystem.open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    // Another file may lie there by now.
    var status = stat()
    guard fstat(file, &status) == 0, Int(status.st_size) == tensor.source.count,
      tensor.source.isSameFile(as: path)
    else { return false }
    let isWritten = values.map { $0.bitPattern.littleEndian }.withUnsafeBytes { bytes in
      pwrite(file, bytes.baseAddress, bytes.count, off_t(tensor.range.lowerBound)) == bytes.count
    }
    return isWritten && fsync(file) == 0
  }

  /// A digest of what decides bytes of containers: all of the file but the losses.
  static func fingerprint(of file: MappedFile, _ catalog: TensorCatalog) -> String {
    let losses = catalog[lossesName]?.range ?? file.count..<file.count
    var hash = XXH64()
    for range in [0..<losses.lowerBound, losses.upperBound..<file.count] {
      file.withBytes(range) { hash.update($0) }
    }
    file.release(0..<file.count)
    return hexadecimalText(hash.digest)
  }
}
