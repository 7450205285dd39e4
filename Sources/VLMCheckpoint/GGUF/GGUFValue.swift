import VLMFoundation
import VLMTensor

/// The types of GGUF's metadata values.
package enum GGUFValueType: UInt32, Sendable, CaseIterable {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64
  case float64

  /// Bytes of a value; the minimum for types of variable length.
  var minimumBytes: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}

/// A metadata value. Integers of all widths are one of two cases.
package enum GGUFValue: Sendable {
  case unsigned(UInt64)
  case signed(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)

  package var intValue: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .signed(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number as a double; nil for other values.
  package var doubleValue: Double? {
    switch self {
    case .unsigned(let value): Double(value)
    case .signed(let value): Double(value)
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: nil
    }
  }

  package var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  package var arrayValue: GGUFArray? {
    if case .array(let value) = self { value } else { nil }
  }

  /// Number of array elements shown in a listing.
  static let listedElements = 8

  /// The value as JSON. Long arrays are shortened to type, count and first elements. Numbers that
  /// are not finite become texts, which no reader takes for a number that is not stated.
  package var json: JSONValue {
    switch self {
    case .unsigned(let value): Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
    case .signed(let value): .integer(value)
    // The shortest decimal text of a float differs from that of the same value as a double.
    case .float32(let value):
      value.isFinite ? .double(Double("\(value)") ?? Double(value)) : .string("\(value)")
    case .float64(let value): value.isFinite ? .double(value) : .string("\(value)")
    case .bool(let value): .bool(value)
    case .string(let value): .string(value)
    case .array(let array): array.json
    }
  }

  /// The value as JSON with every array element; nil if the file has changed since it was opened.
  package var wholeJSON: JSONValue? {
    guard case .array(let array) = self else { return json }
    guard let values = array.values() else { return nil }
    let elements = values.compactMap(\.wholeJSON)
    return elements.count == values.count ? .array(elements) : nil
  }

  /// The value as readable text, unescaped.
  package var text: String {
    switch self {
    case .string(let value): value
    case .array(let array) where array.count > Self.listedElements:
      "\(array.count) values of \(array.type)"
    default: json.serialized()
    }
  }
}

/// An array in a GGUF file's metadata. It stays in the mapped file, which has been validated, until
/// its elements are read.
package struct GGUFArray: Sendable {
  package let type: GGUFValueType
  package let count: Int
  let source: MappedFile
  /// Byte range of the elements.
  let range: Range<Int>

  /// The first elements, at most `limit`; nil if the file has changed since it was opened.
  package func values(limit: Int = .max) -> [GGUFValue]? {
    source.withBytes(range) { bytes in
      var reader = GGUFReader(bytes, source: source, base: range.lowerBound)
      var values: [GGUFValue] = []
      values.reserveCapacity(min(count, limit))
      for _ in 0..<min(count, limit) {
        guard let value = try? reader.value(of: type, depth: 0) else { return nil }
        values.append(value)
      }
      return values
    }
  }

  /// All elements as strings; nil for other types.
  package var strings: [String]? {
    type == .string ? values()?.compactMap(\.stringValue) : nil
  }

  /// All elements as `Int`; nil for other types and on overflow.
  package var integers: [Int]? { all(\.intValue) }

  /// All elements as numbers; nil for other types.
  package var floats: [Float]? { all { $0.doubleValue.map { Float($0) } } }

  private func all<T>(_ convert: (GGUFValue) -> T?) -> [T]? {
    guard let values = values() else { return nil }
    let converted = values.compactMap(convert)
    return converted.count == values.count ? converted : nil
  }

  fileprivate var json: JSONValue {
    let shown = (values(limit: GGUFValue.listedElements) ?? []).map(\.json)
    guard count > GGUFValue.listedElements else { return .array(shown) }
    return ["type": .string("\(type)"), "count": .int(count), "first": .array(shown)]
  }
}

/// The metadata of a GGUF file: keys and values in the file's order, each key once.
package struct GGUFMetadata: Sendable {
  package let entries: [(key: String, value: GGUFValue)]
  private let index: [ExactString: Int]

  init(entries: [(key: String, value: GGUFValue)], index: [ExactString: Int]) {
    self.entries = entries
    self.index = index
  }

  package subscript(key: String) -> GGUFValue? { index[ExactString(key)].map { entries[$0].value } }
}

extension TensorCatalog {
  /// Maximum elements of a tensor included in the description: the RoPE frequencies of a wide head.
  private static let maximumDescribedElements = 1024

  /// The metadata as one JSON object, which takes the place of `config.json`. Long arrays are
  /// shortened. The values of the tensors `factors` are included under their names, if present.
  ///
  /// - Returns: nil if this is not a GGUF file.
  package func ggufDescription(factors: [String]) throws(CheckpointError) -> JSONValue? {
    guard let gguf, var object = gguf.description.objectValue else { return nil }
    for name in factors {
      guard let tensor = self[name] else { continue }
      let isSmall = tensor.elementCount <= Self.maximumDescribedElements
      let values = isSmall ? try tensor.floats() : []
      object.set(name, .array(values.map { .double(Double($0)) }))
    }
    return .object(object)
  }
}
