import VLMFoundation
import VLMTensor

/// The types of GGUF's metadata values.
package enum GGUFValueType: UInt32, Sendable, CaseIterable {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64
  case float64

  /// Bytes of a value, at the least for those of variable length.
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

  /// Any number as a double.
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

  /// Elements of an array that a listing shows.
  static let listedElements = 8

  /// The value as JSON. Of long arrays the type, the count and the first elements; numbers that
  /// JSON does not have are null.
  package var json: JSONValue {
    switch self {
    case .unsigned(let value): Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
    case .signed(let value): .integer(value)
    // The shortest text of a float is not that of its double.
    case .float32(let value): value.isFinite ? .double(Double("\(value)") ?? Double(value)) : .null
    case .float64(let value): .double(value)
    case .bool(let value): .bool(value)
    case .string(let value): .string(value)
    case .array(let array): array.json
    }
  }

  /// The value as JSON with every element; nil when the file has changed meanwhile.
  package var wholeJSON: JSONValue? {
    guard case .array(let array) = self else { return json }
    guard let values = array.values() else { return nil }
    let elements = values.compactMap(\.wholeJSON)
    return elements.count == values.count ? .array(elements) : nil
  }

  /// The value for people, unescaped.
  package var text: String {
    switch self {
    case .string(let value): value
    case .array(let array) where array.count > Self.listedElements:
      "\(array.count) values of \(array.type)"
    default: json.serialized()
    }
  }
}

/// An array in a GGUF file's metadata. It stays in the mapped file, which the reader has checked,
/// until its elements are asked for.
package struct GGUFArray: Sendable {
  package let type: GGUFValueType
  package let count: Int
  let source: MappedFile
  /// The bytes of the elements.
  let range: Range<Int>

  /// The first elements, at most `limit`; nil when the file has changed meanwhile.
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

  /// All elements, when they are strings.
  package var strings: [String]? {
    type == .string ? values()?.compactMap(\.stringValue) : nil
  }

  /// All elements, when they are integers that fit.
  package var integers: [Int]? { all(\.intValue) }

  /// All elements, when they are numbers.
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

/// What a GGUF file says about itself: keys and values in the file's order, each key once.
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
  /// Elements of a tensor that a description takes up: the frequencies of a wide head.
  private static let maximumDescribedElements = 1024

  /// What stands for `config.json`: the metadata as one object, of long arrays the beginning only,
  /// and the values of the tensor `frequencies` under its name, where the file has it.
  ///
  /// - Returns: nil unless this is a GGUF file.
  package func ggufDescription(
    frequencies: String
  ) throws(CheckpointError) -> JSONValue? {
    guard let gguf, var object = gguf.description.objectValue else { return nil }
    if let tensor = self[frequencies], tensor.elementCount <= Self.maximumDescribedElements {
      object.set(frequencies, .array(try tensor.floats().map { .double(Double($0)) }))
    } else if self[frequencies] != nil {
      object.set(frequencies, .array([]))
    }
    return .object(object)
  }
}
