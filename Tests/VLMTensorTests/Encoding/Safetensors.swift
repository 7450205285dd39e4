import Foundation

/// Just enough of a safetensors reader for trusted test data.
struct Safetensors {
  struct Unreadable: Error { let what: String }

  private let data: Data
  private let header: [String: Any]
  private let start: Int

  init(_ url: URL) throws {
    data = try Data(contentsOf: url)
    let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    start = 8 + length
    guard
      let object = try JSONSerialization.jsonObject(with: data[8..<start]) as? [String: Any]
    else { throw Unreadable(what: "header") }
    header = object
  }

  var names: [String] { header.keys.filter { $0 != "__metadata__" }.sorted() }

  func tensor(_ name: String) throws -> (shape: [Int], values: [Float]) {
    guard let entry = header[name] as? [String: Any], let shape = entry["shape"] as? [Int],
      let dtype = entry["dtype"] as? String, let offsets = entry["data_offsets"] as? [Int]
    else { throw Unreadable(what: name) }
    let bytes = [UInt8](data[start + offsets[0]..<start + offsets[1]])
    switch dtype {
    case "I8": return (shape, bytes.map { Float(Int8(bitPattern: $0)) })
    case "F32":
      return (
        shape,
        bytes.withUnsafeBytes { buffer in
          (0..<bytes.count / 4).map { buffer.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
      )
    default: throw Unreadable(what: "\(name): \(dtype)")
    }
  }
}
