import VLMFoundation

/// Which class a picture is of, by the name of the folder that it lies in.
struct ClassFolders {
  /// How folders are named.
  enum Naming: Sendable, Equatable {
    /// As the classes, or by the WordNet id that a label begins with.
    case labels
    /// By the numbers of the classes, from 0.
    case numbers
  }

  /// The class of each picture; nil for one in a folder that is no class.
  let classes: [Int?]
  let naming: Naming?

  /// Pictures whose class is known.
  var knownCount: Int { classes.count { $0 != nil } }

  /// - Parameters:
  ///   - labels: names of the model's classes; nil where it has none.
  ///   - count: of its classes.
  init(of pictures: [String], labels: [String]?, count: Int) {
    let folders = pictures.map(Self.folder)
    let names = Self.names(labels ?? [])
    let named = folders.map { $0.flatMap { names[Self.key($0)] ?? nil } }
    if named.contains(where: { $0 != nil }) {
      (classes, naming) = (named, .labels)
      return
    }
    let numbered = folders.map {
      $0.flatMap { Int($0) }.flatMap { (0..<count).contains($0) ? $0 : nil }
    }
    // A single number that is none of a class says that the others are none either.
    let isNumbered = !numbered.isEmpty && numbered.allSatisfy { $0 != nil }
    classes = isNumbered ? numbered : named
    naming = isNumbered ? .numbers : nil
  }

  private static func folder(of path: String) -> String? {
    let folder = path.splitAtLastSlash.folder
    guard folder.count > 1 else { return nil }
    let name = String(folder.dropLast()).splitAtLastSlash.name
    return name.isEmpty || name == "." || name == ".." ? nil : name
  }

  /// Classes by what their folders may be called; nil for what would be several.
  private static func names(_ labels: [String]) -> [String: Int?] {
    var result: [String: Int?] = [:]
    func add(_ name: some StringProtocol, _ index: Int) {
      let key = key(name)
      guard !key.isEmpty else { return }
      if let other = result[key], other != index {
        result[key] = .some(nil)
      } else {
        result[key] = index
      }
    }
    for (index, label) in labels.enumerated() { add(label, index) }
    // Synonyms name a class where no other class has the name.
    var synonyms: [String: Int?] = [:]
    for (index, label) in labels.enumerated() {
      for part in parts(of: label) {
        let key = key(part)
        guard !key.isEmpty, result[key] == nil else { continue }
        if let other = synonyms[key], other != index {
          synonyms[key] = .some(nil)
        } else {
          synonyms[key] = index
        }
      }
    }
    return result.merging(synonyms) { first, _ in first }
  }

  /// "n01440764 tench, Tinca tinca" is "n01440764", "tench" and "Tinca tinca" too.
  private static func parts(of label: String) -> [String] {
    var text = Substring(label)
    var parts: [String] = []
    let first = text.prefix { $0 != " " && $0 != "," && $0 != ":" }
    if first.count == 9, first.first == "n",
      first.dropFirst().allSatisfy({ $0.isASCII && $0.isNumber })
    {
      parts.append(String(first))
      text = text.dropFirst(first.count)
    }
    return parts + text.split(separator: ",").map(String.init)
  }

  /// Letters and digits alone, small ones: folders have "_" for spaces.
  private static func key(_ name: some StringProtocol) -> String {
    name.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: " ")
  }
}
