import ArgumentParser
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The environment variables of the commands. Libraries read none: they are passed the values.
package enum Environment {
  /// The value of a variable; nil where it is not set or empty.
  static func value(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }

  /// Where files lie for the while; nil where `TMPDIR` does not say.
  package static var temporaryFolder: String? { value("TMPDIR") }

  /// Where packed models are unpacked to; nil where neither `XDG_CACHE_HOME` nor `HOME` is an absolute
  /// path.
  package static var cacheFolder: String? {
    let folder = value("XDG_CACHE_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
    let home = value("HOME").flatMap { $0.hasPrefix("/") ? $0 + "/.cache" : nil }
    return (folder ?? home).map { $0 + "/vlmz" }
  }

  /// Bytes that unpacked models may take together, by `VLM_CACHE_GB`; 0 for none, nil where it is not
  /// set.
  ///
  /// - Throws: `EnvironmentError` when the variable is no size.
  package static func cacheLimit() throws(EnvironmentError) -> Int? {
    guard let text = value("VLM_CACHE_GB") else { return nil }
    if text == "0" { return 0 }
    guard let bytes = try? ByteSize.parse(text, option: "VLM_CACHE_GB", bare: 1_000_000_000) else {
      throw EnvironmentError(.cacheLimit(text))
    }
    return bytes
  }

  /// The best kernels of this machine, or those that `VLM_FORCE_ISA` names.
  ///
  /// - Throws: `EnvironmentError` when the variable names a set that is unknown or cannot run here.
  package static func kernelSet() throws(EnvironmentError) -> KernelSet {
    guard let name = value("VLM_FORCE_ISA") else { return .best }
    guard let kernels = KernelSet(named: name) else {
      throw EnvironmentError(.kernels(name, available: KernelSet.all.map(\.name)))
    }
    return kernels
  }

  /// `VLM_THREADS` if set, else `OMP_NUM_THREADS` if it is a number, else the processors this
  /// process may run on, within the quota of its control groups.
  ///
  /// - Throws: `EnvironmentError` when `VLM_THREADS` is no number of threads.
  package static func threadCount() throws(EnvironmentError) -> Int {
    if let text = value("VLM_THREADS") {
      guard let count = Int(text), (1...ThreadCount.maximum).contains(count) else {
        throw EnvironmentError(.threadCount(text))
      }
      return count
    }
    if let count = value("OMP_NUM_THREADS").flatMap({ Int($0) }),
      (1...ThreadCount.maximum).contains(count)
    {
      return count
    }
    return ThreadCount.available
  }

  /// Spares the process the idle thread per processor that OpenBLAS starts while it is loaded; the
  /// library sets one thread only after that. Called by `main`, before any other thread runs.
  static func limitOpenBLAS() { setenv("OPENBLAS_NUM_THREADS", "1", 1) }
}

/// The number of threads that `--threads`, the environment or the machine says, in this order.
package func threadCount(option: Int?) throws -> Int {
  guard let option else { return try Environment.threadCount() }
  guard (1...ThreadCount.maximum).contains(option) else {
    throw ValidationError("--threads: found \(option), expected 1 to \(ThreadCount.maximum)")
  }
  return option
}
