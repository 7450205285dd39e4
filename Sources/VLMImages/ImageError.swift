import VLMFoundation

/// Why a file gave no image.
package struct ImageError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(FileError)
    case empty
    /// None of the formats; the payload says what the first bytes look like, when they tell.
    case unrecognized(looksLike: String?)
    /// The bytes break the format's rules, or end early; the decoder's own words.
    case corrupt(ImageFormat, String)
    /// The same, where some rows can be had all the same.
    case damaged(ImageFormat, String)
    /// A kind of the format that is not decoded; the decoder's own words.
    case unsupported(ImageFormat, String)
    /// What decodes the format is not installed: Debian's packages, and why it cannot be used.
    case missingLibrary(ImageFormat, packages: [String], String)
    /// The image, or what preprocessing would make of it, is larger than allowed.
    case tooManyPixels(width: Int, height: Int, limit: Int)
    case sideTooLong(Int, limit: Int)
    case fileTooLarge(limit: Int)
    case noMemory(bytes: Int)
    /// More than the limits on memory leave; the payload says what would take less.
    case tooMuchMemory(bytes: Int, limit: Int, advice: String?)
  }

  /// The file's path, or what stands for it.
  package let name: String
  package let problem: Problem

  package init(name: String, problem: Problem) {
    self.name = name
    self.problem = problem
  }

  package var description: String {
    if case .file(let error) = problem { return error.description }
    return "\(name.escapedForDisplay()): \(text)"
  }

  private var text: String {
    switch problem {
    case .file(let error): return error.description
    case .empty: return "the file is empty, expected a picture (\(ImageFormat.list))"
    case .unrecognized(let kind?): return "looks like \(kind), expected \(ImageFormat.list)"
    case .unrecognized(nil):
      return "is no image of a known kind, expected \(ImageFormat.list)"
    case .corrupt(let format, let detail):
      return "damaged \(format.name): \(detail.escapedForDisplay())"
    case .damaged(let format, let detail):
      return "damaged \(format.name): \(detail.escapedForDisplay()); "
        + "--damaged accept shows what there is"
    case .missingLibrary(let format, let packages, let detail):
      return "\(format.name) cannot be read without \(packages.joined(separator: " and ")), "
        + "try apt-get install \(packages.joined(separator: " ")) (\(detail.escapedForDisplay()))"
    case .unsupported(let format, let detail):
      return "\(format.name) of a kind that is not decoded: \(detail.escapedForDisplay())"
    case .tooManyPixels(let width, let height, let limit):
      return "the image has \(width) x \(height) pixels, the limit is \(limit) in all"
    case .sideTooLong(let side, let limit):
      return "the image is \(side) pixels long or wide, the limit is \(limit)"
    case .fileTooLarge(let limit): return "the file is larger than the limit of \(limit) bytes"
    case .noMemory(let bytes): return "not enough memory for \(bytes) bytes of pixels"
    case .tooMuchMemory(let bytes, let limit, let advice):
      let text =
        "the image takes \((bytes + 999_999) / 1_000_000) MB of memory, found "
        + "\(limit / 1_000_000) MB left within the limits"
      return advice.map { "\(text); \($0)" } ?? text
    }
  }

  /// The advice to save a picture in another form.
  static func saved(again form: String) -> String { "saved again \(form) it takes less" }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .noMemory, .tooMuchMemory: .osError
    case .missingLibrary: .unsupported
    default: .badData
    }
  }
}

/// The formats that are decoded.
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

/// What an image may cost. Checked against the header, before anything is allocated.
package struct ImageLimits: Sendable, Equatable {
  /// Width times height, of the file and of every picture that preprocessing makes of it.
  package var maximumPixels: Int
  /// Width and height each: a resampling filter takes memory in proportion.
  package var maximumSide: Int
  /// Bytes of the file.
  package var maximumFileBytes: Int
  /// Scans of a progressive JPEG: each may touch every pixel, however short it is. Encoders
  /// write about ten.
  package var maximumScans: Int
  /// Whether a picture that has lost rows, or whose checksums are wrong, is read all the same.
  package var acceptsDamage: Bool
  /// What decoding and resizing may take beyond what the process has.
  package var memory: Memory

  package enum Memory: Sendable, Equatable {
    /// What `Machine.memoryLeft` says at the time.
    case system
    case bytes(Int)
  }

  /// The pixel limit is the one at which Pillow refuses an image, the side that of libpng.
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

  /// The number of pixels, when it is allowed.
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
