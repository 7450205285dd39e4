import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Cases S36 to S55: the layout of the tensor data, and file system situations.
@Suite("safetensors: data and file")
struct SafetensorsDataTests {
  let make: Composer

  init() throws { make = try Composer() }

  private func problem(
    _ tensors: [(String, Int, Int)], data: Int
  ) throws -> CheckpointError.Problem? {
    let entries = tensors.map {
      Composer.tensor($0.0, "U8", "[\(max(0, $0.2 - $0.1))]", $0.1, $0.2)
    }
    return try make.problem(
      "{" + entries.joined(separator: ",") + "}", data: [UInt8](repeating: 0, count: data))
  }

  @Test("S36 offsets in reverse are refused")
  func s36() throws {
    #expect(try problem([("t", 4, 0)], data: 4) == .offsetsReversed(begin: 4, end: 0))
  }

  @Test("S37 an end past the data by one byte or by 2^40 is refused")
  func s37() throws {
    #expect(try problem([("t", 0, 5)], data: 4) == .dataTruncated(end: 5, available: 4))
    #expect(
      try problem([("t", 0, 1 << 40)], data: 4) == .dataTruncated(end: 1 << 40, available: 4))
    #expect(
      try make.problem(
        fields: "\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\(Int.max - 1),\(Int.max)]")
        == .dataTruncated(end: .max, available: 4))
  }

  @Test("S38 offsets that span other than the shape's bytes are refused")
  func s38() throws {
    for (shape, expected) in [("[2]", 8), ("[]", 4), ("[0]", 0)] where expected != 3 {
      #expect(
        try make.problem("{" + Composer.tensor("t", "F32", shape, 0, 3) + "}", data: [0, 0, 0])
          == .sizeMismatch(found: 3, expected: expected))
    }
  }

  @Test("S39 a gap between tensors is refused")
  func s39() throws {
    #expect(try problem([("a", 0, 2), ("b", 3, 4)], data: 4) == .gap(from: 2, to: 3))
  }

  @Test("S40 a first tensor that does not start at zero is refused")
  func s40() throws {
    #expect(try problem([("a", 1, 4)], data: 4) == .gap(from: 0, to: 1))
  }

  @Test("S41 overlapping tensors are refused, partly or ten times over")
  func s41() throws {
    #expect(try problem([("a", 0, 3), ("b", 2, 4)], data: 4) == .overlap(begin: 2, after: 3))
    let ten = (0..<10).map { ("t\($0)", 0, 4) }
    #expect(try problem(ten, data: 4) == .overlap(begin: 0, after: 4))
    #expect(
      try problem([("a", 0, 4), ("e", 2, 2)], data: 4) == .overlap(begin: 2, after: 4))
  }

  @Test("S42 bytes after the last tensor are refused")
  func s42() throws {
    #expect(try problem([("a", 0, 4)], data: 6) == .trailingBytes(2))
    #expect(try problem([], data: 1) == .trailingBytes(1))
  }

  @Test("S43 a last tensor cut by one byte is refused, naming both sizes")
  func s43() throws {
    #expect(
      try problem([("a", 0, 2), ("b", 2, 4)], data: 3) == .dataTruncated(end: 4, available: 3))
  }

  @Test("tensors may be listed in any order; the catalog keeps the header's")
  func order() throws {
    let header =
      "{" + Composer.tensor("b", "U8", "[2]", 2, 4) + "," + Composer.tensor("e", "U8", "[0]", 2, 2)
      + "," + Composer.tensor("a", "U8", "[2]", 0, 2) + "}"
    let catalog = try make.read(header, data: [1, 2, 3, 4])
    #expect(catalog.tensors.map(\.name) == ["b", "e", "a"])
    #expect(try catalog["a"]?.floats() == [1, 2])
    #expect(try catalog["b"]?.floats() == [3, 4])
  }

  @Test("S44 elements at any alignment are read")
  func s44() throws {
    for padding in 0..<8 {
      let header =
        "{" + Composer.tensor("d", "F64", "[2]", 0, 16) + ","
        + Composer.tensor("f", "F32", "[1]", 16, 20) + "}" + String(repeating: " ", count: padding)
      let doubles = [1.5, -2.25].flatMap { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      }
      let catalog = try make.read(header, data: doubles + [0, 0, 0x40, 0x40])
      #expect(try catalog["d"]?.floats() == [1.5, -2.25])
      #expect(try catalog["f"]?.floats() == [3])
    }
  }

  @Test("S45 a header of many small tensors is read, each tensor found by name")
  func s45() throws {
    let count = 20_000
    var header = "{"
    for number in 0..<count {
      if number > 0 { header += "," }
      header += Composer.tensor("layers.\(number).weight", "U8", "[1,1]", number, number + 1)
    }
    let data = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let catalog = try make.read(header + "}", data: data)
    #expect(catalog.tensors.count == count)
    for number in stride(from: 0, to: count, by: 997) {
      #expect(try catalog["layers.\(number).weight"]?.floats() == [Float(number & 255)])
    }
  }

  @Test("S45 the memory for a header of a hundred thousand tensors is at most four times its size")
  func s45Memory() throws {
    let count = 100_000
    var header = Array("{".utf8)
    header.reserveCapacity(count * 90)
    for number in 0..<count {
      let name = "model.layers.\(1_000_000 + number).w"
      let comma = number > 0 ? "," : ""
      header += (comma + Composer.tensor(name, "U8", "[1,1]", number, number + 1)).utf8
    }
    header.append(UInt8(ascii: "}"))
    let data = [UInt8](repeating: 0, count: count)
    let path = try make.folder.write("many", Composer.bytes(header, data: data))
    let result = try Probe.run("catalog", path)
    let numbers = result.output.split { !$0.isNumber }.compactMap { Int($0) }
    try #require(result.status == 0 && numbers.count == 2)
    #expect(numbers[0] == count)
    // The header's pages of the mapped file are resident too.
    #expect(numbers[1] <= (4 + 1) * header.count)
  }

  @Test("S46 empty and zero-rank tensors are accepted")
  func s46() throws {
    let header =
      "{" + Composer.tensor("e", "F32", "[0,3]", 0, 0) + ","
      + Composer.tensor("s", "F32", "[]", 0, 4) + "}"
    let catalog = try make.read(header, data: [0, 0, 0x80, 0x3f])
    #expect(catalog["e"]?.elementCount == 0)
    #expect(try catalog["e"]?.floats() == [])
    #expect(catalog["s"]?.elementCount == 1)
    #expect(try catalog["s"]?.floats() == [1])
    let empties = "{" + Composer.tensor("e", "F32", "[0]", 0, 0) + "}"
    #expect(try make.read(empties).byteCount == 0)
  }

  @Test("S47 a pipe, folder or device is refused as a file, without waiting")
  func s47() throws {
    let pipe = make.folder.path("pipe")
    mkfifo(pipe, 0o600)
    for (path, kind) in [
      (pipe, "pipe"), (make.folder.url.path, "directory"), ("/dev/zero", "device"),
    ] {
      let expected = CheckpointError(
        path: path, problem: .file(FileError(path: path, problem: .notRegular(kind))))
      #expect(throws: expected) { try SafetensorsFile.read(path: path) }
      #expect(expected.exitStatus == .noInput)
    }
  }

  @Test("S50 a file changed after it was read is noticed")
  func s50() throws {
    let catalog = try make.read("{" + Composer.tensor("t", "U8", "[1]", 0, 1) + "}", data: [1])
    try catalog.checkUnchanged()
    let handle = try #require(fopen(catalog.path, "a"))
    fputs("x", handle)
    fclose(handle)
    #expect(
      throws: CheckpointError(
        path: catalog.path, problem: .file(FileError(path: catalog.path, problem: .changed)))
    ) { try catalog.checkUnchanged() }
  }

  @Test("S51 a sparse file of a terabyte with a consistent header is read at once")
  func s51() throws {
    let size = 1 << 40
    let bytes = Composer.bytes("{" + Composer.tensor("t", "U8", "[\(size)]", 0, size) + "}")
    let path = try make.folder.write("sparse", bytes)
    try #require(truncate(path, off_t(bytes.count + size)) == 0, "a file system of sparse files")
    let catalog = try SafetensorsFile.read(path: path)
    #expect(catalog.byteCount == size)
    var last: Float = 1
    let tensor = try #require(catalog["t"])
    try withUnsafeMutablePointer(to: &last) { pointer in
      try tensor.readFloats(
        size - 1..<size, into: UnsafeMutableBufferPointer(start: pointer, count: 1))
    }
    #expect(last == 0)
  }

  @Test("S54 another kind of file is named")
  func s54() throws {
    let cases: [(String, [UInt8])] = [
      (
        "a Git LFS pointer; fetch the file itself first: git lfs pull",
        Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".utf8)
      ),
      ("an HTML page", Array("<!DOCTYPE html>\n<html><body>404</body></html>".utf8)),
      ("an HTML page", Array("\n <HTML><head></head></HTML>".utf8)),
      (
        "zeros, as a download leaves them that has not ended; download it again",
        [UInt8](repeating: 0, count: 600)
      ),
      ("a JSON text", Array("{\"metadata\": {\"total_size\": 1}}".utf8)),
      ("a .vlmz container", [0x89] + Array("VLMZ".utf8) + [0xd, 0xa, 0xa, 1, 0, 0, 0]),
      ("a GGUF file", Array("GGUF".utf8) + [3, 0, 0, 0, 0, 0, 0, 0]),
      ("a zip archive (a PyTorch checkpoint?)", [0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 8, 8, 0]),
      (
        "a Python pickle (a PyTorch checkpoint?)",
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9]
      ),
      ("a gzip archive; unpack it first", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2]),
      ("a PNG image", [0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0, 0, 0, 13]),
      ("a NumPy array", [0x93] + Array("NUMPY".utf8) + [1, 0, 0x76, 0]),
      ("an HDF5 file", [0x89] + Array("HDF\r\n".utf8) + [0x1a, 0xa, 0, 0]),
      ("an ELF program", [0x7f] + Array("ELF".utf8) + [2, 1, 1, 0, 0, 0]),
      ("a Zstandard archive; unpack it first", [0x28, 0xb5, 0x2f, 0xfd, 4, 0, 9, 9, 9, 9]),
      (
        "a tar archive; unpack it first",
        Array("archive/data.pkl".utf8) + [UInt8](repeating: 0, count: 241)
          + Array("ustar".utf8) + [UInt8](repeating: 0, count: 250)
      ),
    ]
    for (kind, bytes) in cases {
      let parts = kind.split(separator: ";", maxSplits: 1).map { String($0) }
      guard case .otherKind(let found)? = try make.problem(bytes) else {
        Issue.record("\(kind)")
        continue
      }
      #expect(found.name == parts[0])
      #expect(parts.count == 1 || found.step.map { " " + $0 } == parts[1])
    }
  }

  @Test("matrices of zeros at the end are told of, as a download leaves them that has not ended")
  func zeroTail() throws {
    let header = [("a", "[4, 4]", 0), ("b", "[4, 4]", 16), ("c", "[16]", 32)].map {
      Composer.tensor($0.0, "U8", $0.1, $0.2, $0.2 + 16)
    }.joined(separator: ",")
    func warnings(ones: Int) throws -> [String] {
      let data = [UInt8](repeating: 1, count: ones) + [UInt8](repeating: 0, count: 48 - ones)
      let path = try make.folder.write("z.safetensors", Composer.bytes("{\(header)}", data: data))
      return try Checkpoint.read(path: path).warnings.map(\.description)
    }
    // A vector of zeros is a bias, and a matrix that is zero in part a matrix.
    #expect(try warnings(ones: 48).isEmpty)
    #expect(try warnings(ones: 17).isEmpty)
    let one = try #require(try warnings(ones: 16).first)
    #expect(one.contains("the last 32 bytes are zeros, tensor 'b' among them"))
    let all = try #require(try warnings(ones: 3).first)
    #expect(all.contains("the last 45 bytes are zeros, tensor 'b' among them"))
    #expect(try warnings(ones: 0).first?.contains("tensor 'a' and 1 more among them") == true)
  }

  @Test("every truncation and every bit flip of a file is read or refused, without a trap")
  func mutations() throws {
    let header =
      "{\"__metadata__\":{\"format\":\"pt\"}," + Composer.tensor("a.b", "F32", "[2,1]", 0, 8) + ","
      + Composer.tensor("c", "BF16", "[3]", 8, 14) + "}  "
    let bytes = Composer.bytes(header, data: [UInt8](0..<14))
    #expect(try make.problem(bytes) == nil)
    for length in 0..<bytes.count {
      #expect(try make.problem(Array(bytes[..<length])) != nil)
    }
    var read = 0
    for position in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[position] ^= 1 << bit
        if try make.problem(changed) == nil {
          read += 1
          for tensor in try make.read(changed).tensors where tensor.dtype.isConvertibleToFloat {
            #expect(try tensor.floats().count == tensor.elementCount)
          }
        }
      }
    }
    // All flips in the data, and those that only rename, are read.
    #expect(read >= 14 * 8)
  }
}
