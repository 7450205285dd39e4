import VLMFoundation

/// Why an image file cannot be decoded.
package struct ImageError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(FileError)
    case empty
    /// None of the supported formats; the payload names the likely format, if recognised.
    case unrecognized(looksLike: String?)
    /// What stands in place of a file that was not fetched.
    case notFetched(FileKind)
    /// The file is damaged or truncated; the payload is the decoder's message.
    case corrupt(ImageFormat, String)
    /// The same, but some rows can be decoded.
    case damaged(ImageFormat, String)
    /// An unsupported variant of the format; the payload is the decoder's message.
    case unsupported(ImageFormat, String)
    /// The format's decoder is not installed: Debian's packages, and the loader's message.
    case missingLibrary(ImageFormat, packages: [String], String)
    case tooManyPixels(width: Int, height: Int, limit: Int)
    case sideTooLong(Int, limit: Int)
    /// What preprocessing would make of the image exceeds the limit of pixels, or of a side.
    case preparedTooLarge(width: Int, height: Int, pixels: Int, side: Int)
    case fileTooLarge(limit: Int)
    case noMemory(bytes: Int)
    /// More memory than the limits leave, and what would need less.
    case tooMuchMemory(bytes: Int, limit: Int, Remedy?)
  }

  /// The file's path, or a substitute such as "standard input".
  package let name: String
  package let problem: Problem

  package init(name: String, problem: Problem) {
    self.name = name
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    if case .file(let error) = problem { return error.description(in: words) }
    return "\(name.escapedForDisplay()): \(text(words))"
  }

  private func text(_ words: Wording) -> String {
    switch problem {
    case .file(let error): return error.description(in: words)
    case .empty: return "the file is empty, expected a picture (\(ImageFormat.list))"
    case .unrecognized(let kind?): return "looks like \(kind), expected \(ImageFormat.list)"
    case .notFetched(let kind): return "is " + kind.instead(of: ImageFormat.list)
    case .unrecognized(nil):
      return "is no image of a known kind, expected \(ImageFormat.list)"
    case .corrupt(let format, let detail):
      return "damaged \(format.name): \(detail.escapedForDisplay())"
    case .damaged(let format, let detail):
      return "damaged \(format.name): \(detail.escapedForDisplay())" + words.end(.acceptDamage)
    case .missingLibrary(let format, let packages, let detail):
      return "\(format.name) cannot be read without \(packages.joined(separator: " and ")), "
        + "try apt-get install \(packages.joined(separator: " ")) (\(detail.escapedForDisplay()))"
    case .unsupported(let format, let detail):
      return "\(format.name) of a kind that is not decoded: \(detail.escapedForDisplay())"
    case .tooManyPixels(let width, let height, let limit):
      return "the image has \(width) x \(height) pixels, the limit is \(limit) in all"
    case .sideTooLong(let side, let limit):
      return "the image is \(side) pixels long or wide, the limit is \(limit)"
    case .preparedTooLarge(let width, let height, let pixels, let side):
      return "the image would be resized to \(width) x \(height) pixels, the limit is "
        + (max(width, height) > side ? "\(side) for a side" : "\(pixels) in all")
    case .fileTooLarge(let limit): return "the file is larger than the limit of \(limit) bytes"
    case .noMemory(let bytes): return "not enough memory for \(bytes) bytes of pixels"
    case .tooMuchMemory(let bytes, let limit, let remedy):
      return
        "the image takes \((bytes + 999_999) / 1_000_000) MB of memory, found "
        + "\(limit / 1_000_000) MB left within the limits" + words.end(remedy)
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .noMemory, .tooMuchMemory: .osError
    case .missingLibrary: .unsupported
    default: .badData
    }
  }
}

/// The supported image formats.
package enum ImageFormat: Sendable, Equatable, CaseIterable {
  case png, jpeg, webp, gif, bmp, pnm, tiff, heic, avif

  package var name: String {
    switch self {
    case .png: "PNG"
    case .jpeg: "JPEG"
    case .webp: "WebP"
    case .gif: "GIF"
    case .bmp: "BMP"
    case .pnm: "PNM"
    case .tiff: "TIFF"
    case .heic: "HEIC"
    case .avif: "AVIF"
    }
  }

  /// "PNG, JPEG, … or AVIF".
  package static let list =
    allCases.dropLast().map(\.name).joined(separator: ", ") + " or \(avif.name)"
}

/// Resource limits for decoding. They are checked against the header before anything is allocated.
package struct ImageLimits: Sendable, Equatable {
  /// Maximum number of pixels, of the file and of every intermediate image of preprocessing.
  package var maximumPixels: Int
  /// Maximum width and height; a resampling filter needs memory proportional to them.
  package var maximumSide: Int
  /// Maximum file size in bytes.
  package var maximumFileBytes: Int
  /// Maximum scans of a progressive JPEG. Each may touch every pixel, however short it is. Encoders
  /// write about ten.
  package var maximumScans: Int
  /// Whether images with lost rows or wrong checksums are accepted.
  package var acceptsDamage: Bool
  /// Memory that decoding and resizing may use in addition to what the process already uses.
  package var memory: Memory

  package enum Memory: Sendable, Equatable {
    /// As much as `Machine.memoryLeft` reports at the time.
    case system
    case bytes(Int)
  }

  /// The pixel limit is Pillow's, the limit of a side libpng's.
  package init(
    maximumPixels: Int = 178_956_970, maximumSide: Int = 1_000_000,
    maximumFileBytes: Int = 512 << 20, maximumScans: Int = 100, acceptsDamage: Bool = false,
    memory: Memory = .system
  ) {
    self.maximumPixels = maximumPixels
    self.maximumSide = maximumSide
    self.maximumFileBytes = maximumFileBytes
    self.maximumScans = maximumScans
    self.acceptsDamage = acceptsDamage
    self.memory = memory
  }

  /// Checks the sides of a picture that is in memory already.
  ///
  /// - Throws: `.tooManyPixels`, `.sideTooLong`.
  package func require(width: Int, height: Int, of name: String) throws(ImageError) {
    _ = try pixels(width: width, height: height, of: name)
  }

  /// Checks the sides that preprocessing gives a picture.
  ///
  /// - Throws: `.preparedTooLarge`.
  func require(preparedWidth width: Int, height: Int, of name: String) throws(ImageError) {
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= maximumPixels, max(width, height) <= maximumSide else {
      throw ImageError(
        name: name,
        problem: .preparedTooLarge(
          width: width, height: height, pixels: maximumPixels, side: maximumSide))
    }
  }

  /// The number of pixels, after checking the limits.
  func pixels(width: Int, height: Int, of name: String) throws(ImageError) -> Int {
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= maximumPixels else {
      throw ImageError(
        name: name,
        problem: .tooManyPixels(width: width, height: height, limit: maximumPixels))
    }
    let side = max(width, height)
    guard side <= maximumSide else {
      throw ImageError(name: name, problem: .sideTooLong(side, limit: maximumSide))
    }
    return pixels
  }
}
