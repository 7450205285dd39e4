import VLMFoundation

/// Options that name a file and are given twice. Of others the last one counts, so that a script can add
/// one; a file that is asked for and not written, or read, would not be missed.
enum RepeatedOptions {
  private static let ofFiles: Set<String> = [
    "--embed", "--dump", "--explain", "--schema", "--grammar", "--files-from", "--preprocessor",
    "--output", "-o", "--keep-old", "--signature", "--statistics", "--plan", "--curve", "--plot",
    "--reference", "--mmproj", "--vision-tower", "--vision-tower-slow", "--model-base",
    "--api-key-file", "--password-file", "--unix", "--template", "--temporary-folder",
  ]
  /// Of programs and of their commands: elsewhere several may be right.
  private static let ofCommands: [String: Set<String>] = [
    "vlm-convert": ["--labels-file"], "sign": ["--key"],
  ]

  /// What is wrong, as a line; nil where nothing is.
  ///
  /// - Parameter arguments: as `TextOptions.joined` has them.
  static func fault(in arguments: [String], of program: String) -> String? {
    let names = [program, arguments.first ?? ""].reduce(into: ofFiles) { names, command in
      names.formUnion(ofCommands[command] ?? [])
    }
    var values: [String: String] = [:]
    var index = 0
    while index < arguments.count, arguments[index] != "--" {
      let argument = arguments[index]
      index += 1
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = parts.first.map(String.init) ?? ""
      guard names.contains(name) else { continue }
      var value = parts.count > 1 ? String(parts[1]) : ""
      if parts.count == 1, index < arguments.count {
        value = arguments[index]
        index += 1
      }
      let key = name == "-o" ? "--output" : name
      guard let first = values.updateValue(value, forKey: key) else { continue }
      return "\(key): found '\(first.escapedForDisplay())' and '\(value.escapedForDisplay())', "
        + "expected one"
    }
    return nil
  }
}
