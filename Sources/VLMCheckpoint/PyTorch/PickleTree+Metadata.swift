import VLMFoundation

/// Keys under which checkpoints hold names of classes.
package enum ClassNameKeys {
  private static let all = [
    "id2label", "idx_to_class", "idx2class", "class_to_idx", "class2idx", "label2id",
    "class_names", "classes", "label_names", "labels", "vocab", "categories",
  ]

  /// Search priority of `key`: keys whose values state the index of each name come first. Nil for
  /// other keys.
  package static func rank(_ key: String) -> Int? { all.firstIndex(of: key.lowercased()) }
}

/// Keys under which training scripts store preprocessing settings: timm's `train.py`, torchvision's
/// reference script, and common synonyms.
package enum PreprocessingSettingKeys {
  package static let all = [
    "img_size", "image_size", "input_size", "crop_pct", "crop_mode", "val_resize_size",
    "val_crop_size", "interpolation", "mean", "std",
  ]
}

/// What a training checkpoint holds beside its tensors: class names and preprocessing settings.
extension PickleTree {
  /// Maximum numbers in a setting: channels, height and width.
  private static let maximumNumbers = 4
  private static let maximumSettingBytes = 64

  /// The settings under `PreprocessingSettingKeys` as an object; nil if there are none.
  private func settings(_ dictionary: PickleDictionary) -> JSONValue? {
    var object = JSONObject()
    for key in PreprocessingSettingKeys.all {
      guard let value = value(dictionary, key).flatMap(setting) else { continue }
      object.set(key, value)
    }
    return object.isEmpty ? nil : .object(object)
  }

  /// The value as JSON: a word, a number, or a few numbers.
  private func setting(_ value: PickleValue) -> JSONValue? {
    if let text = string(value) {
      return text.isEmpty || text.utf8.count > Self.maximumSettingBytes ? nil : .string(text)
    }
    guard let list = tuple(value) ?? list(value) else { return number(value) }
    let numbers = list.prefix(Self.maximumNumbers + 1).compactMap(number)
    guard (1...Self.maximumNumbers).contains(list.count), numbers.count == list.count else {
      return nil
    }
    return .array(numbers)
  }

  private func number(_ value: PickleValue) -> JSONValue? {
    switch value {
    case .int(let number): .int(number)
    case .float(let number) where number.isFinite: .double(number)
    default: nil
    }
  }
}

extension PickleTree {
  /// Keys of containers that may hold those: settings and dataset descriptions.
  private static let holderKeys: Set<String> = [
    "meta", "metadata", "dataset_meta", "dataset", "data", "args", "opt", "hparams",
    "hyper_parameters", "datamodule_hyper_parameters", "config", "cfg", "model_args", "info",
  ]
  private static let maximumDepth = 3
  /// Maximum number of values in total. The largest label set in use has 21,843.
  private static let maximumValues = 1 << 18
  private static let maximumTextBytes = 8 << 20
  /// Maximum number of keys examined.
  private static let maximumVisits = 1 << 20
  /// Memory of a value as JSON, in an object and as text; and of a byte of text, which may be
  /// escaped to six.
  private static let bytesPerValue = 512
  private static let bytesPerLetter = 32

  /// The metadata as JSON, each with the path of keys joined by dots: names as an array of strings
  /// or an object of strings or integers; settings as an object under the key of their container.
  ///
  /// - Parameter memory: memory limit in bytes. A pickle may refer to one string any number of
  ///   times.
  func metadata(memory: Int) -> [(key: String, value: String)] {
    var found: [(key: String, value: String)] = []
    var values = min(Self.maximumValues, memory / Self.bytesPerValue)
    var bytes = min(Self.maximumTextBytes, memory / Self.bytesPerLetter)
    var visits = Self.maximumVisits
    var level: [(path: String, items: PickleDictionary)] = items(root).map { [("", $0)] } ?? []
    for _ in 0...Self.maximumDepth {
      var next: [(path: String, items: PickleDictionary)] = []
      for (path, dictionary) in level {
        visits -= dictionary.keys.count
        guard visits >= 0 else { break }
        for (key, value) in zip(dictionary.keys, dictionary.values) {
          guard let name = string(key), name.utf8.count <= 64 else { continue }
          let place = path.isEmpty ? name : path + "." + name
          if ClassNameKeys.rank(name) != nil {
            guard let json = names(value, &values, &bytes) else { continue }
            found.append((place, json.serialized()))
          } else if Self.holderKeys.contains(name.lowercased()), let inner = items(value) {
            next.append((place, inner))
          }
        }
        if let settings = settings(dictionary) { found.append((path, settings.serialized())) }
      }
      // A pickle may refer to one dictionary many times.
      level = Array(next.prefix(64))
    }
    var seen = Set<ExactString>()
    return found.reversed().filter { seen.insert(ExactString($0.key)).inserted }.reversed()
  }

  /// The items of a dictionary, or the attributes of an object such as `argparse.Namespace`.
  private func items(_ value: PickleValue) -> PickleDictionary? {
    if case .object(let index) = value { return dictionary(objects[Int(index)].state) }
    return dictionary(value)
  }

  /// Nil if the value is not a list or dictionary of names, or exceeds the limits.
  private func names(_ value: PickleValue, _ values: inout Int, _ bytes: inout Int) -> JSONValue? {
    func text(_ value: PickleValue) -> String? {
      guard let string = string(value) else { return nil }
      bytes -= string.utf8.count
      return bytes >= 0 ? string : nil
    }
    if let list = tuple(value) ?? list(value) {
      guard list.count <= values, !list.isEmpty else { return nil }
      values -= list.count
      var strings: [JSONValue] = []
      for item in list {
        guard let string = text(item) else { return nil }
        strings.append(.string(string))
      }
      return .array(strings)
    }
    guard let dictionary = dictionary(value), !dictionary.keys.isEmpty,
      dictionary.keys.count <= values
    else { return nil }
    values -= dictionary.keys.count
    var object = JSONObject()
    for (key, value) in zip(dictionary.keys, dictionary.values) {
      switch (key, value) {
      case (.int(let index), _):
        guard let string = text(value) else { return nil }
        object.set(String(index), .string(string))
      case (_, .int(let index)):
        guard let string = text(key) else { return nil }
        object.set(string, .int(index))
      default:
        guard let name = text(key), let string = text(value) else { return nil }
        object.set(name, .string(string))
      }
    }
    return .object(object)
  }
}
