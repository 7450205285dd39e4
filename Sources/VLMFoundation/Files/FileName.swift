/// Names of files are bytes. A `String` holds them so that none is lost.
///
/// A byte that is no part of UTF-8 stands in the string as the character U+10FF00 + byte, one of the
/// last that there are and nobody's (U+10FF80 to U+10FFFF); a name that has such a character itself
/// has it as its four bytes. So every name is one string and every string made here one name, as
/// with Python's `surrogateescape`, but strings stay strings.
extension String {
  /// The name with these bytes, which are any but 0.
  package init(fileName bytes: [UInt8]) {
    if let text = String(validating: bytes, as: UTF8.self), !text.holdsFileNameBytes {
      self = text
      return
    }
    self.init()
    var parser = Unicode.UTF8.ForwardParser()
    var input = bytes.makeIterator()
    var position = 0
    while true {
      let count: Int
      switch parser.parseScalar(from: &input) {
      case .emptyInput: return
      case .error(let length): count = length
      case .valid(let encoded):
        count = encoded.count
        let scalar = Unicode.UTF8.decode(encoded)
        if !scalar.isFileNameByte {
          unicodeScalars.append(scalar)
          position += count
          continue
        }
      }
      for byte in bytes[position..<position + count] {
        unicodeScalars.append(Unicode.Scalar(fileNameByte: byte))
      }
      position += count
    }
  }

  /// The name that a call of the system gave.
  package init(fileName pointer: UnsafePointer<CChar>) {
    var bytes: [UInt8] = []
    var next = pointer
    while next.pointee != 0 {
      bytes.append(UInt8(bitPattern: next.pointee))
      next += 1
    }
    self.init(fileName: bytes)
  }

  /// The bytes of the name.
  package var fileNameBytes: [UInt8] {
    guard holdsFileNameBytes else { return Array(utf8) }
    var bytes: [UInt8] = []
    for scalar in unicodeScalars {
      if let byte = scalar.fileNameByte {
        bytes.append(byte)
      } else {
        bytes += UTF8.encode(scalar).map { Array($0) } ?? []
      }
    }
    return bytes
  }

  /// The name as calls of the system take it. One with a zero byte, where they would end it, names
  /// nothing, as the empty one does.
  package func withFileName<R>(_ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    if utf8.contains(0) { return try "".withCString(body) }
    guard holdsFileNameBytes else { return try withCString(body) }
    let text = fileNameBytes.map { CChar(bitPattern: $0) } + [0]
    return try text.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return try "".withCString(body) }
      return try body(start)
    }
  }

  /// A path as its folder, which is empty or ends in a slash, and the name in it.
  package var splitAtLastSlash: (folder: String, name: String) {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", self) }
    let end = utf8.index(after: slash)
    return (String(self[..<end]), String(self[end...]))
  }

  /// An argument that is a text and no name: what is no UTF-8 becomes U+FFFD, as in any other input.
  package var repairedText: String {
    holdsFileNameBytes ? String(decoding: fileNameBytes, as: UTF8.self) : self
  }

  private var holdsFileNameBytes: Bool {
    // The first byte of a character of the last plane.
    utf8.contains(0xf4) && unicodeScalars.contains { $0.isFileNameByte }
  }
}

extension Unicode.Scalar {
  private static let fileNameBytes: ClosedRange<UInt32> = 0x10ff80...0x10ffff

  fileprivate init(fileNameByte byte: UInt8) {
    self = Unicode.Scalar(0x10ff00 + UInt32(byte)) ?? "\u{fffd}"
  }

  fileprivate var isFileNameByte: Bool { Self.fileNameBytes.contains(value) }

  /// The byte that the character stands for in a name; nil for any other character.
  package var fileNameByte: UInt8? { isFileNameByte ? UInt8(truncatingIfNeeded: value) : nil }
}

extension String {
  /// What the file that a packed one unpacks to is called beside it: `model.vlmz` for `model.vlmzp`.
  package var unpackedName: String { hasSuffix(".vlmzp") ? String(dropLast()) : self + ".vlmz" }
}
