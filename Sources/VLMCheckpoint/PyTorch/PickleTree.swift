import VLMFoundation

/// A value that a pickle describes. Containers and objects are indices into a `PickleTree`, so
/// cycles are harmless and nothing is freed recursively.
enum PickleValue: Equatable, Sendable {
  case none
  case bool(Bool)
  case int(Int)
  /// An integer beyond 64 bits; only the legacy format's magic number is one.
  case long(Int32)
  case float(Double)
  case string(Int32)
  case bytes
  case tuple(Int32)
  case list(Int32)
  case dict(Int32)
  case global(Int32)
  case object(Int32)
  case storage(Int32)
  case tensor(Int32)
  /// A tensor of an unsupported kind; the payload is the string that names it.
  case unsupportedTensor(Int32)
  /// A pickled module; the payload is the string that names its class.
  case module(Int32)

  /// The kind of value, for messages.
  var kind: String {
    switch self {
    case .none: "None"
    case .bool: "a boolean"
    case .int, .long: "an integer"
    case .float: "a float"
    case .string: "a string"
    case .bytes: "bytes"
    case .tuple: "a tuple"
    case .list: "a list"
    case .dict: "a dictionary"
    case .global: "a class or function"
    case .object: "an object"
    case .storage: "a storage"
    case .tensor, .unsupportedTensor: "a tensor"
    case .module: "a module"
    }
  }
}

/// A class or function that a pickle names. Nothing is ever looked up by the name.
struct PickleGlobal: Equatable, Sendable {
  let module: String
  let name: String

  var text: String { module + "." + name }
}

struct PickleDictionary: Sendable {
  var keys: [PickleValue] = []
  var values: [PickleValue] = []
  /// Whether it can have attributes besides its items, as an `OrderedDict` can.
  var hasAttributes = false
}

/// An instance of an unknown class, kept inert.
struct PickleObject: Sendable {
  let type: PickleValue
  var state: PickleValue = .none
}

/// A storage as the pickle declares it.
struct PickledStorage: Equatable, Sendable {
  /// Nil for an untyped storage, whose elements are bytes.
  let type: TorchType?
  let key: String
  /// Element count of the whole storage.
  let count: Int
  /// The part of the storage that this view covers, in elements.
  var viewStart = 0
  var viewCount: Int
}

/// A tensor as the pickle declares it, checked against its storage's declaration.
struct PickledTensor: Equatable, Sendable {
  let storage: Int32
  let type: TorchType
  /// Storage offset of the first element, in elements.
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}

/// What a pickle holds.
struct PickleTree: Sendable {
  var strings: [String] = []
  var longs: [[UInt8]] = []
  /// Items of tuples and lists.
  var sequences: [[PickleValue]] = []
  var dictionaries: [PickleDictionary] = []
  var globals: [PickleGlobal] = []
  var objects: [PickleObject] = []
  var storages: [PickledStorage] = []
  var tensors: [PickledTensor] = []
  var root = PickleValue.none
  /// Memory of the tree in bytes.
  var memory = 0

  func string(_ value: PickleValue) -> String? {
    if case .string(let index) = value { strings[Int(index)] } else { nil }
  }

  func tuple(_ value: PickleValue) -> [PickleValue]? {
    if case .tuple(let index) = value { sequences[Int(index)] } else { nil }
  }

  func list(_ value: PickleValue) -> [PickleValue]? {
    if case .list(let index) = value { sequences[Int(index)] } else { nil }
  }

  func dictionary(_ value: PickleValue) -> PickleDictionary? {
    if case .dict(let index) = value { dictionaries[Int(index)] } else { nil }
  }

  func global(_ value: PickleValue) -> PickleGlobal? {
    if case .global(let index) = value { globals[Int(index)] } else { nil }
  }

  /// The name of an object's class.
  func className(_ value: PickleValue) -> String? {
    guard case .object(let index) = value else { return nil }
    return global(objects[Int(index)].type)?.text ?? "an unknown class"
  }

  /// The last value of the string key `key`, as Python keeps it.
  func value(_ dictionary: PickleDictionary, _ key: String) -> PickleValue? {
    for position in dictionary.keys.indices.reversed()
    where string(dictionary.keys[position])?.hasSameBytes(as: key) ?? false {
      return dictionary.values[position]
    }
    return nil
  }

  /// The items of a tuple or list of non-negative integers; nil for anything else.
  func extents(_ value: PickleValue) -> [Int]? {
    guard let items = tuple(value) ?? list(value) else { return nil }
    var result: [Int] = []
    for item in items {
      guard case .int(let number) = item, number >= 0 else { return nil }
      result.append(number)
    }
    return result
  }
}
