import CVLMSystem
import VLMContainer

/// How the bytes of a frame are rearranged before they are compressed: a permutation that depends on
/// the filter's fields and the number of bytes only.
package enum ByteFilter: Sendable, Hashable {
  case none
  /// The bytes of words of `width` bytes (2 or 4) apart, lowest first. With `turned`, the words are
  /// turned left by one bit first: the exponent of a number is one byte then.
  case planes(width: Int, turned: Bool)
  /// The parts of panels apart, see `formats/blocks.md`: codes, steps, offsets, padding, and the
  /// planes of scales and sums. `groups` is the bytes of steps and offsets.
  case panels(size: Int, codes: Int, groups: Int)

  /// Scales and sums of 16 outputs.
  static let tailSize = 128
  private static let tailWords = 16

  /// `Filter` as stored.
  var code: UInt8 {
    switch self {
    case .none: 0
    case .planes(_, false): 1
    case .planes(_, true): 2
    case .panels: 3
    }
  }

  /// Bytes that a panel has between its groups and its tail.
  static func padding(size: Int, codes: Int, groups: Int) -> Int {
    size - codes - groups - tailSize
  }

  /// Places in the filtered bytes where another kind of byte begins.
  func boundaries(byteCount: Int) -> [Int] {
    switch self {
    case .none: return []
    case .planes(let width, _): return (1..<width).map { $0 * (byteCount / width) }
    case .panels(let size, let codes, let groups):
      let count = byteCount / size
      var ends: [Int] = []
      var end = 0
      let planes = [Int](repeating: Self.tailWords, count: 8)
      let padding = Self.padding(size: size, codes: codes, groups: groups)
      for part in [codes, groups / 2, groups / 2, padding] + planes where part > 0 {
        end += part * count
        ends.append(end)
      }
      return ends.dropLast()
    }
  }

  /// Rearranges `source` into `target`, which has as many bytes.
  func apply(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    move(source, target, forward: true)
  }

  /// The inverse of `apply`.
  ///
  /// - Precondition: the fields have been checked, see `FrameHeader`.
  func undo(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    move(source, target, forward: false)
  }

  private func move(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer, forward: Bool
  ) {
    precondition(source.count == target.count, "a filter keeps the number of bytes")
    guard let input = source.bindMemory(to: UInt8.self).baseAddress,
      let output = target.bindMemory(to: UInt8.self).baseAddress
    else { return }
    switch self {
    case .none: target.copyMemory(from: source)
    case .planes(let width, let turned):
      let count = source.count / width
      let turn: Int32 = turned ? 1 : 0
      if forward {
        vlm_split_planes(input, output, count, Int32(width), turn)
      } else {
        vlm_join_planes(input, output, count, Int32(width), turn)
      }
      let done = count * width
      vlm_copy_pieces(input + done, 0, output + done, 0, source.count - done, 1)
    case .panels(let size, let codes, let groups):
      precondition(source.count % size == 0, "whole panels")
      Panels(size: size, codes: codes, groups: groups, count: source.count / size)
        .move(input, output, forward: forward)
    }
  }

  private struct Panels {
    let size: Int
    let codes: Int
    let groups: Int
    let count: Int

    func move(
      _ input: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<UInt8>, forward: Bool
    ) {
      /// Moves `times` pieces of `width` bytes, at `place` in a panel (`stride` apart), to `packed` in
      /// the filtered bytes.
      func move(_ place: Int, _ stride: Int, _ packed: Int, _ width: Int, _ times: Int) {
        if forward {
          vlm_copy_pieces(input + place, stride, output + packed, width, width, times)
        } else {
          vlm_copy_pieces(input + packed, width, output + place, stride, width, times)
        }
      }
      let blocks = groups / 32
      let padding = ByteFilter.padding(size: size, codes: codes, groups: groups)
      move(0, size, 0, codes, count)
      var packed = codes * count
      for part in 0..<2 where groups > 0 {
        for panel in 0..<count {
          move(panel * size + codes + part * 16, 32, packed, 16, blocks)
          packed += 16 * blocks
        }
      }
      move(codes + groups, size, packed, padding, count)
      packed += padding * count
      for part in 0..<2 {
        let place = size - ByteFilter.tailSize + part * 64
        for byte in 0..<4 {
          for panel in 0..<count {
            move(panel * size + place + byte, 4, packed, 1, 16)
            packed += 16
          }
        }
      }
    }
  }
}
