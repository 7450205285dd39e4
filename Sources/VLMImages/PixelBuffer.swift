import CCodecs
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Memory for a file or for samples, returned to the system when its owner is released. Memory that
/// an allocator keeps for reuse would count against the limits.
final class PixelBuffer {
  private(set) var bytes: UnsafeMutableRawBufferPointer

  /// Allocates zeroed memory.
  ///
  /// - Throws: `.noMemory` if it cannot be allocated.
  init(byteCount: Int, for name: String) throws(ImageError) {
    let memory = mmap(
      nil, max(1, byteCount), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else {
      throw ImageError(name: name, problem: .noMemory(bytes: byteCount))
    }
    bytes = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
  }

  deinit { munmap(bytes.baseAddress, max(1, bytes.count)) }

  var start: UnsafeMutableRawPointer { bytes.baseAddress.unsafelyUnwrapped }
  var samples: UnsafeMutablePointer<UInt8> { start.assumingMemoryBound(to: UInt8.self) }
  var sums: UnsafeMutablePointer<Int32> { start.assumingMemoryBound(to: Int32.self) }

  /// Returns the memory beyond the first `count` bytes to the system.
  func shrink(to count: Int) {
    precondition(count <= bytes.count, "a part of it")
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let kept = (max(1, count) + page - 1) / page * page
    if kept < bytes.count { munmap(bytes.baseAddress?.advanced(by: kept), bytes.count - kept) }
    bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
  }
}

enum PixelMemory {
  /// Allocations up to this many bytes are not checked, because querying the free memory reads a
  /// dozen files.
  static let small = 16 << 20

  /// Whether memory can be allocated. Called before creating an array, because an array that cannot
  /// be allocated ends the process.
  static func check(bytes: Int, for name: String) throws(ImageError) {
    // A page of slack for the headers of the allocator and the array.
    guard vlm_image_can_allocate(bytes + 4096) else {
      throw ImageError(name: name, problem: .noMemory(bytes: bytes))
    }
  }

  /// Returns memory that the allocator keeps to the system.
  static func release() { vlm_image_release_memory() }
}

extension ImageLimits {
  /// Checks that an image may use this much memory now, and that it can be allocated.
  ///
  /// - Parameter remedy: what would need less memory.
  func require(
    memory bytes: Int, for name: String, remedy: Remedy? = nil
  ) throws(ImageError) {
    let left: Int
    switch memory {
    case .bytes(let limit): left = limit
    case .system: left = bytes > PixelMemory.small ? Machine.memoryLeft : .max
    }
    guard bytes <= left else {
      throw ImageError(
        name: name,
        problem: .tooMuchMemory(bytes: bytes, limit: max(0, left), remedy))
    }
    try PixelMemory.check(bytes: bytes, for: name)
  }
}
