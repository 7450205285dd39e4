import CVLMZ
import VLMZ

/// `vlmz_image_from_file` of vlmz.h.
@_cdecl("vlmz_image_from_file")
public func vlmzImageFromFile(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vlmz_image_options>?,
  _ image: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(image, "image", empty: nil)
    let opened = try Image(contentsOf: try fileName(path), options: try imageOptions(options))
    result.pointee = HandleTable.shared.add(opened, .image)
  }
}

/// `vlmz_image_from_bytes` of vlmz.h.
@_cdecl("vlmz_image_from_bytes")
public func vlmzImageFromBytes(
  _ bytes: UnsafeRawPointer?, _ count: Int, _ options: UnsafePointer<vlmz_image_options>?,
  _ image: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(image, "image", empty: nil)
    let source = try elements(bytes?.assumingMemoryBound(to: UInt8.self), count, "bytes")
    let opened = try Image(encoded: Array(source), options: try imageOptions(options))
    result.pointee = HandleTable.shared.add(opened, .image)
  }
}

/// `vlmz_image_from_pixels` of vlmz.h.
@_cdecl("vlmz_image_from_pixels")
public func vlmzImageFromPixels(
  _ pixels: UnsafePointer<vlmz_pixels>?, _ options: UnsafePointer<vlmz_image_options>?,
  _ image: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(image, "image", empty: nil)
    guard pixels != nil else {
      throw invalid("pixels", found: "NULL", expected: "a description of them")
    }
    let given = try structure(pixels, "pixels", initial: vlmz_pixels())
    guard let format = Image.PixelFormat(rawValue: given.format) else {
      throw invalid(
        "format of pixels", found: "\(given.format)",
        expected: "1 to \(Image.PixelFormat.allCases.count)")
    }
    // One that is negative to Swift is more than any picture has.
    guard given.bytes_per_row >= 0 else {
      throw invalid(
        "bytes per row", found: "\(UInt(bitPattern: given.bytes_per_row))",
        expected: "at most \(Image.maximumBytesPerRow)")
    }
    let owner = PixelOwner(release: given.release, user: given.user)
    let opened = try Image(
      noCopy: given.data, width: Int(given.width), height: Int(given.height),
      bytesPerRow: given.bytes_per_row == 0 ? nil : given.bytes_per_row, format: format,
      options: try imageOptions(options), release: { owner.release?(owner.user) })
    result.pointee = HandleTable.shared.add(opened, .image)
  }
}

/// Who is told that pixels are no longer needed; the header says that it may be on any thread.
private struct PixelOwner: @unchecked Sendable {
  let release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
  let user: UnsafeMutableRawPointer?
}

/// `vlmz_image_get_size` of vlmz.h.
@_cdecl("vlmz_image_get_size")
public func vlmzImageGetSize(
  _ handle: OpaquePointer?, _ width: UnsafeMutablePointer<UInt32>?,
  _ height: UnsafeMutablePointer<UInt32>?
) -> vlmz_status {
  width?.pointee = 0
  height?.pointee = 0
  return call {
    let image = try image(handle)
    width?.pointee = UInt32(clamping: image.width)
    height?.pointee = UInt32(clamping: image.height)
  }
}

/// `vlmz_image_free` of vlmz.h.
@_cdecl("vlmz_image_free")
public func vlmzImageFree(_ handle: OpaquePointer?) -> vlmz_status { release(handle, .image) }

private func imageOptions(_ pointer: UnsafePointer<vlmz_image_options>?) throws -> Image.Options {
  guard pointer != nil else { return Image.Options() }
  let given = try structure(pointer, "options", initial: vlmz_image_options())
  var options = Image.Options(
    background: given.background, acceptsDamage: given.accepts_damage != 0)
  if given.maximum_pixels > 0 { options.maximumPixels = Int(clamping: given.maximum_pixels) }
  return options
}
