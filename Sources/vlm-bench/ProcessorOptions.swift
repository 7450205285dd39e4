import ArgumentParser
import VLMBench
import VLMCommandLine
import VLMTensor

/// What of the machine a measurement uses.
struct ProcessorOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Kernels; default: VLM_FORCE_ISA or the best of this machine.", valueName: "name"))
  var isa: String?

  @Option(help: "Threads; default: the processors this process may use.")
  var threads: Int?

  func kernels() throws -> KernelSet {
    try isa.map { try Benchmark.kernels(named: $0) } ?? Environment.kernelSet()
  }

  func threadCount() throws -> Int { try VLMCommandLine.threadCount(option: threads) }
}
