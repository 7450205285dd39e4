import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMBench

@Suite("What a device can do")
struct DeviceTests {
  private func run(
    _ cases: [String], available: Int? = 8 << 30, seconds: Double = 60,
    sensors: [String: String] = [:]
  ) throws -> DeviceReport {
    let kernels = try KernelSet.selected()
    var durations = DeviceRun.Durations()
    durations.ofCase = 0.001
    durations.ofHeat = 0.01
    durations.ofAll = seconds
    return try DeviceRun(
      kernels: kernels, threads: 2,
      cases: try cases.map { try CaseName(parsing: $0, isa: kernels.name, threads: 2) },
      durations: durations, sensors: Sensors { sensors[$0] }, available: { available }
    ).run()
  }

  @Test("models, peaks on one and all threads and heat are told, and the JSON says the same")
  func all() throws {
    let report = try run(
      ["tower/convnext_atto/q8/32", "language/smollm2.1/q4/R1.K3"],
      sensors: ["/sys/class/thermal/thermal_zone0/temp": "48500\n"])
    #expect(report.cases.allSatisfy { $0.skipped == nil && $0.seconds.median > 0 })
    #expect(Set(report.peaks.map(\.threads)) == [1, 2])
    #expect(report.peaks.contains { $0.bound == .bandwidth && $0.rate > 0 })
    let heat = try #require(report.heat)
    #expect(heat.samples.count == DeviceReport.Heat.sampleCount)
    #expect(heat.kept > 0 && heat.samples.allSatisfy { $0.rate > 0 && $0.celsius == 48.5 })
    #expect(report.lines.contains { $0.hasPrefix("tower/convnext_atto/q8/32") })

    let json = report.json
    #expect(try JSONValue.parse(json.serialized(pretty: true)) == json)
    #expect(json["kind"]?.stringValue == "device")
    #expect(json["device"]?["celsius"]?.doubleValue == 48.5)
    let cases = try #require(json["cases"]?.arrayValue)
    #expect(cases.count == 2)
    #expect(cases[0]["per_second"]?.doubleValue ?? 0 > 0)
    #expect(json["heat"]?["samples"]?.arrayValue?.count == heat.samples.count)
  }

  @Test("what memory or time cannot hold is left out with a line that says so")
  func leftOut() throws {
    let small = try run(["tower/convnext_atto/q8/32"], available: 1 << 20)
    #expect(small.cases[0].skipped?.hasPrefix("needs ") == true)
    #expect(small.lines.contains { $0.contains("left out: needs ") })
    #expect(small.json["cases"]?.arrayValue?.first?["skipped"]?.stringValue != nil)
    let short = try run(["tower/convnext_atto/q8/32"], seconds: 0)
    #expect(short.cases[0].skipped == "might take longer than the time that is left")
    let wrong = try run(["tower/resnet/q8/32"])
    #expect(wrong.cases[0].skipped?.contains("unknown") == true)
  }

  @Test("the cases are known models whose weights can be counted")
  func cases() throws {
    let names = DeviceRun.cases(isa: "scalar", threads: 1)
    #expect(names.count == 9)
    for name in names {
      let bytes = try RandomModel.weightBytes(of: name.work)
      #expect((3_000_000...200_000_000).contains(bytes), "\(name)")
    }
    #expect(try RandomModel.weightBytes(of: .gelu(rows: 1, columns: 1)) == 0)
  }

  @Test("sensors are read where they are, and nonsense is not")
  func sensors() {
    #expect(Sensors { _ in nil }.celsius == nil)
    #expect(Sensors { _ in nil }.megahertz == nil)
    let zones = [
      "/sys/class/thermal/thermal_zone0/temp": "41000",
      "/sys/class/thermal/thermal_zone3/temp": "62500",
      "/sys/class/thermal/thermal_zone4/temp": "-273000",
      "/sys/class/thermal/thermal_zone5/temp": "x",
      "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
      "/sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq": "1200000\n",
    ]
    #expect(Sensors { zones[$0] }.celsius == 62.5)
    #expect(Sensors { zones[$0] }.megahertz == 1500)
    let monitors = [
      "/sys/class/hwmon/hwmon0/name": "nvme\n", "/sys/class/hwmon/hwmon0/temp1_input": "70000",
      "/sys/class/hwmon/hwmon2/name": "k10temp\n", "/sys/class/hwmon/hwmon2/temp1_input": "55250",
    ]
    #expect(Sensors { monitors[$0] }.celsius == 55.25)
  }

  @Test("processors are called by their name, or by their cores and board")
  func processors() {
    let x86 = "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
    #expect(ProcessorName.text(cpuinfo: x86) == "AMD EPYC")
    let core = "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
    let little = "CPU implementer\t: 0x41\nCPU part\t: 0xd05\n"
    #expect(
      ProcessorName.text(cpuinfo: core + core + little, board: "Raspberry Pi 5\0")
        == "Raspberry Pi 5: 2 Cortex-A76, 1 Cortex-A55")
    let other = "CPU implementer\t: 0x61\nCPU part\t: 0x022\n"
    #expect(ProcessorName.text(cpuinfo: other) == "1 part 0x022 of 97")
    #expect(ProcessorName.text(cpuinfo: "") == "unknown")
  }
}
