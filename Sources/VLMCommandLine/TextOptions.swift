/// Options whose value is any text: the next argument is theirs, whatever it begins with, as getopt has
/// it. The parser would refuse "---" and take "--" for the end of the options.
enum TextOptions {
  private static let names: Set<String> = [
    "-p", "--prompt", "--system", "--stop", "--answer-begins", "--prefill-response", "--labels",
    "--label", "--label-template", "--comment", "--api-key",
  ]

  /// The arguments, texts that begin with a dash in one with their options: `--system=--- x`.
  static func joined(_ arguments: [String]) -> [String] {
    var joined: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" { return joined + [argument] + rest }
      guard names.contains(argument), let text = rest.first, text.hasPrefix("-"), text != "-" else {
        joined.append(argument)
        continue
      }
      rest.removeFirst()
      joined.append((argument == "-p" ? "--prompt" : argument) + "=" + text)
    }
    return joined
  }
}
