import VLMFoundation

/// Temperature and clock of a machine, where the system says them.
package struct Sensors: Sendable {
  private let read: @Sendable (String) -> String?

  /// Numbers that are tried: systems count from 0, with gaps where a processor is off.
  private static let zones = 0..<32
  private static let inputs = 1..<9
  private static let processors = 0..<256

  /// - Parameter read: the content of a file, nil where there is none.
  package init(read: @escaping @Sendable (String) -> String?) { self.read = read }

  /// Those of this machine.
  package init() { self.init { ControlGroup.content($0) } }

  /// Degrees Celsius of the hottest sensor of the thermal zones, or, where there are none, of the
  /// processor's own.
  package var celsius: Double? {
    let zones = Self.zones.compactMap { degrees("/sys/class/thermal/thermal_zone\($0)/temp") }
    if let hottest = zones.max() { return hottest }
    let monitors = Self.zones.flatMap { monitor -> [Double] in
      let folder = "/sys/class/hwmon/hwmon\(monitor)"
      let name = read(folder + "/name")?.split(separator: "\n").first.map(String.init) ?? ""
      guard ["coretemp", "k10temp", "zenpower", "cpu_thermal"].contains(name) else { return [] }
      return Self.inputs.compactMap { degrees(folder + "/temp\($0)_input") }
    }
    return monitors.max()
  }

  /// Mean clock of the processors at this moment, in MHz.
  package var megahertz: Double? {
    let clocks = Self.processors.compactMap {
      number("/sys/devices/system/cpu/cpu\($0)/cpufreq/scaling_cur_freq")
    }
    return clocks.isEmpty ? nil : clocks.reduce(0, +) / Double(clocks.count) / 1000
  }

  /// A sensor that is not there says 0, or nonsense.
  private func degrees(_ path: String) -> Double? {
    number(path).map { $0 / 1000 }.flatMap { (1...150).contains($0) ? $0 : nil }
  }

  private func number(_ path: String) -> Double? {
    read(path).flatMap { Double($0.filter { !$0.isWhitespace }) }
  }
}
