import VLMFoundation

/// What a machine's processor is called.
enum ProcessorName {
  /// ARM's cores by the number of their part, as `/proc/cpuinfo` has it.
  private static let armParts = [
    0xd03: "Cortex-A53", 0xd04: "Cortex-A35", 0xd05: "Cortex-A55", 0xd07: "Cortex-A57",
    0xd08: "Cortex-A72", 0xd09: "Cortex-A73", 0xd0a: "Cortex-A75", 0xd0b: "Cortex-A76",
    0xd0c: "Neoverse-N1", 0xd0d: "Cortex-A77", 0xd40: "Neoverse-V1", 0xd41: "Cortex-A78",
    0xd42: "Cortex-A78AE", 0xd44: "Cortex-X1", 0xd46: "Cortex-A510", 0xd47: "Cortex-A710",
    0xd49: "Neoverse-N2", 0xd4d: "Cortex-A715", 0xd4f: "Neoverse-V2", 0xd80: "Cortex-A520",
  ]
  private static let arm = 0x41

  /// - Parameters:
  ///   - cpuinfo: the text of `/proc/cpuinfo`.
  ///   - board: the text of `/proc/device-tree/model`, where there is one.
  /// - Returns: "AMD EPYC", "Raspberry Pi 5 Model B: 4 Cortex-A76", or "unknown".
  static func text(cpuinfo: String, board: String? = nil) -> String {
    var (name, implementer) = (String?.none, 0)
    var cores: [(name: String, count: Int)] = []
    for line in cpuinfo.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let key = line[..<colon].prefix { $0 != "\t" }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch key {
      case "model name": name = name ?? String(value)
      case "CPU implementer": implementer = number(value)
      case "CPU part":
        let known = implementer == arm ? armParts[number(value)] : nil
        let core = known ?? "part \(value) of \(implementer)"
        if let index = cores.firstIndex(where: { $0.name == core }) {
          cores[index].count += 1
        } else {
          cores.append((core, 1))
        }
      default: break
      }
    }
    let ofCores = cores.map { "\($0.count) \($0.name)" }.joined(separator: ", ")
    let processor = name ?? (cores.isEmpty ? nil : ofCores)
    let whole = board.map { String($0.prefix { $0 != "\0" && $0 != "\n" }) }
    let parts = [whole, processor].compactMap { $0 }.filter { !$0.isEmpty }
    return parts.isEmpty ? "unknown" : parts.joined(separator: ": ").escapedForDisplay(limit: 200)
  }

  /// "0xd0b" or "11"; 0 for what is no number.
  private static func number(_ text: Substring) -> Int {
    text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) ?? 0 : Int(text) ?? 0
  }
}
