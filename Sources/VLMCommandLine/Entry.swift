import ArgumentParser
import VLMFoundation
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// Runs a command with the conventions that all of ours share: one line of error with the status of
/// `ExitStatus`, Ctrl-C that leaves nothing behind, a closed pipe that is no error to tell of.
package func runCommand<Command: ParsableCommand>(_ type: Command.Type, program: String) {
  occupyStandardDescriptors()
  Environment.limitOpenBLAS()
  InputFiles.remember()
  do {
    // With less the Swift runtime fails without a message.
    try SystemMemory.require(16 << 20, for: "memory")
    try TerminationSignals.install()
    FaultHandler.install(program: program)
    let arguments = TextOptions.joined(Array(ProcessArguments.all.dropFirst()))
    // What scripts and monitors ask often needs no parser, whose options take milliseconds to set up.
    if arguments == ["--version"] {
      Report.line(Command.configuration.version)
      return
    }
    if let file = arguments.prefix(while: { $0 != "--" }).first(where: isFileLikeOptions) {
      let name = file.escapedForDisplay()
      Report.fail(
        "'\(name)' is a file, and reads as options; ./\(name) names it", status: EX_USAGE,
        program: program)
    }
    if let fault = RepeatedOptions.fault(in: arguments, of: program) {
      Report.fail(fault, status: EX_USAGE, program: program)
    }
    var command = try Command.parseAsRoot(arguments)
    try command.run()
  } catch let error as any ReportableError {
    Report.fail(error, program: program)
  } catch let error as ExitCode {
    exit(error.rawValue)
  } catch {
    // Help, version and usage errors come from ArgumentParser.
    let status = Command.exitCode(for: error)
    if status == .success {
      // Not by the parser, which does not see that a disk is full.
      return Report.line(Command.fullMessage(for: error))
    }
    guard status == .validationFailure else { Report.fail(error, program: program) }
    let text = usageText(Command.message(for: error), of: Command.self, program: program)
    Report.fail(text, status: status.rawValue, program: program)
  }
}

/// A file whose name begins with a dash, as a pattern of the shell may expand to: the parser would
/// take its letters for options.
private func isFileLikeOptions(_ argument: String) -> Bool {
  argument.hasPrefix("-") && !argument.hasPrefix("--") && argument.utf8.count > 2
    && FileSystem.exists(argument)
}

/// The parser's message as one line, with the command that says how it is right.
private func usageText<Command: ParsableCommand>(
  _ message: String, of type: Command.Type, program: String
) -> String {
  let lines = message.split(whereSeparator: \.isNewline).map { $0.drop { $0 == " " } }
  var text = lines.joined(separator: " ").escapedForDisplay(limit: 1000)
  if text.last == "." { text.removeLast() }
  // Only a sentence loses its capital; an option keeps its letters.
  let isSentence = text.first?.isUppercase == true && text.dropFirst().first?.isLowercase == true
  let shown = isSentence ? text.prefix(1).lowercased() + text.dropFirst() : text
  if let size = splitSize(shown) {
    return "\(shown): a size is one word, or in quotes: \(size)"
  }
  if let number = negativeNumber(shown) { return number }
  let given = ProcessArguments.all.dropFirst().first
  let configuration = Command.configuration
  let subcommand =
    configuration.subcommands.first { $0.configuration.commandName == given }
    ?? configuration.defaultSubcommand
  let name = subcommand?.configuration.commandName.map { " " + $0 } ?? ""
  let end = shown.last == "?" ? " See" : "; see"
  return "\(shown)\(end) \(program)\(name) --help"
}

/// "--size 3.5GB", where the arguments have the unit as a word of its own, which is not expected.
private func splitSize(_ message: String) -> String? {
  let arguments = ProcessArguments.all
  for index in arguments.indices.dropFirst(2)
  where message.contains("'\(arguments[index])'") && message.contains("nexpected argument") {
    let (option, value) = (arguments[index - 2], arguments[index - 1])
    let isUnit = arguments[index].first.map { !$0.isNumber } ?? false
    guard isUnit, option.hasPrefix("--"), ByteSize.number(value) != nil,
      (try? ByteSize.parse(value + arguments[index], option: "")) != nil
    else { continue }
    return "\(option) \(value)\(arguments[index])"
  }
  return nil
}

/// "--top -1", which reads as an option without a value and another option.
private func negativeNumber(_ message: String) -> String? {
  let arguments = ProcessArguments.all
  guard message.hasPrefix("missing value for") else { return nil }
  for (option, value) in zip(arguments, arguments.dropFirst())
  where message.contains("'\(option) ") || message.contains("'\(option)'") {
    guard value.hasPrefix("-"), value.dropFirst().first.map(\.isNumber) ?? false else { continue }
    return "\(option): found '\(value.escapedForDisplay(limit: 80))', expected no negative number"
  }
  return nil
}

/// Opens /dev/null for standard streams that are closed, so that no file gets one of their
/// descriptors and messages are not written into a model. Using such a stream stays an error.
private func occupyStandardDescriptors() {
  for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
    // The lowest free number is this one.
    _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
  }
}

/// What `--version` prints: the product, the kernels in use, and the format that it reads.
package func versionText(program: String, formatVersion: Int) -> String {
  let kernels: String
  do throws(EnvironmentError) { kernels = try Environment.kernelSet().name } catch {
    kernels = "none, \(error.shown)"
  }
  let all = KernelSet.all.map(\.name).joined(separator: ", ")
  let choices = KernelChoice.ofThisMachine.decisions.map { "  \($0)\n" }.joined()
  return "\(program) \(productVersion)\nkernels: \(kernels) (this machine runs \(all))\n" + choices
    + "threads: \((try? Environment.threadCount()) ?? ThreadCount.available)\n"
    + "container format: \(formatVersion)"
}
