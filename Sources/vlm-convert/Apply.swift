import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMConversion
import VLMDelta
import VLMFoundation
import VLMSignature
import VLMTensor

struct Apply: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "apply", abstract: "Turn a .vlmz file into its next version.",
      discussion: """
        The new file is written beside the old one, read back and renamed into its place: at every \
        moment one of the two is there. A model that already is the new one is left as it is.
        """)
  }

  @Argument(help: "A .vlmzd file.")
  var delta: String

  @Argument(help: "The .vlmz file that the delta was made from.")
  var model: String

  @Option(name: .shortAndLong, help: "Write the new file here, and leave the old one.")
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Keep the old file under this name; .old is the model's name with that at its end.",
      valueName: "path|.suffix"))
  var keepOld: String?

  @Flag(help: "Replace an existing output, or one kept earlier.")
  var force = false

  @OptionGroup var trusted: ResultTrustOptions

  @OptionGroup var work: WorkOptions

  @Flag(name: .shortAndLong, help: "No progress, no report.")
  var quiet = false

  func validate() throws {
    try OutputOptions.requireFile(output)
    for name in [delta, model] where name == "-" {
      throw ValidationError("apply maps its files and reads no pipe; ./- is a file")
    }
    try Self.check(name: output, of: "--output")
    try Self.check(name: keepOld, of: "--keep-old")
    guard output == nil || keepOld == nil else {
      throw ValidationError("--keep-old: with --output the old file stays where it is")
    }
    guard trusted.trust.isEmpty || trusted.signature != nil || output != nil else {
      throw ValidationError(
        "--trust: expected --signature FILE too, as the one beside the model is the old file's")
    }
  }

  /// Throws if a signature would have that name.
  private static func check(name: String?, of option: String) throws {
    guard let name, name.lowercased().hasSuffix(Signature.suffix) else { return }
    throw ValidationError(
      "\(option): found '\(name.escapedForDisplay())', expected another name: "
        + "\(Signature.suffix) is a signature's")
  }

  /// Where the old file is kept.
  private var keptPath: String? {
    keepOld.map { $0.hasPrefix(".") && !$0.contains("/") ? model + $0 : $0 }
  }

  func run() throws {
    let application = DeltaApplication(
      try DeltaFile.open(path: delta),
      // It may be replaced, unless there is another output.
      to: try Container.open(path: model, isInput: output != nil))
    Report.outliveReader()
    let newSignature = try expectedSignature(application)
    if let made = made(application) {
      // An earlier run may have been ended before it put the signature there.
      try newSignature?.check(made.file, quiet: quiet)
      try newSignature?.install()
      if !quiet {
        Report.line(
          "\(made.path.escapedForDisplay()): already is what the delta makes, nothing to do; "
            + "root hash \(hexadecimal(application.delta.target.rootHash))")
      }
      return
    }
    if let output {
      try OutputFile.check(output, overwrite: force)
    } else {
      try OutputFile.check(model, overwrite: true)
    }
    if let keptPath {
      if FileSystem.resolved(keptPath).map({ $0 == FileSystem.resolved(model) }) ?? false {
        throw FileError(path: keptPath, problem: .sameFile(as: model))
      }
      // An interrupted run may have left it.
      try OutputFile.check(
        keptPath, overwrite: force || RollbackCopy.isMade(of: model, at: keptPath))
    }
    let oldSignature = try openSignature()
    let replaced = output.flatMap { OldSignature(beside: $0) }
    try make(application, keeping: oldSignature, expecting: newSignature)
    try newSignature?.install()
    guard !quiet else { return }
    if newSignature == nil {
      tellOfSignature()
      replaced?.tell()
    }
    let target = application.delta.target
    let kept = keptPath.map { "; the old file is \($0.escapedForDisplay())" } ?? ""
    Report.line(
      "\((output ?? model).escapedForDisplay()): \(byteText(target.byteCount)), "
        + "root hash \(hexadecimal(target.rootHash))\(kept)")
  }

  /// The result, where an earlier run made it: the model itself, or the output.
  private func made(_ application: DeltaApplication) -> Container? {
    guard let output else { return application.isApplied ? application.model : nil }
    guard !force, let found = try? Container.open(path: output, isInput: false),
      DeltaApplication(application.delta, to: found).isApplied,
      let defects = try? found.verify(strict: false), defects.isEmpty
    else { return nil }
    return found
  }

  /// The name of the signature beside the model; nil where there is none, or the model stays.
  private var signaturePath: String? {
    let path = Signature.path(of: model)
    return output == nil && FileSystem.exists(path) ? path : nil
  }

  /// Where that of the old file is kept.
  private var keptSignaturePath: String? {
    guard let keptPath, signaturePath != nil else { return nil }
    return Signature.path(of: keptPath)
  }

  /// The signature that is to be kept; nil where none is.
  private func openSignature() throws(FileError) -> MappedFile? {
    guard let signaturePath, let keptSignaturePath else { return nil }
    try OutputFile.check(
      keptSignaturePath,
      overwrite: force || RollbackCopy.isMade(of: signaturePath, at: keptSignaturePath))
    // The new one may take its place.
    return try MappedFile(path: signaturePath, isInput: false)
  }

  /// The signature that the new file has to have; nil where no key was given.
  private func expectedSignature(_ application: DeltaApplication) throws -> ExpectedSignature? {
    let path = output ?? model
    let signature = try trusted.expected(
      for: path, usual: Signature.path(of: path), overwrite: output == nil || force)
    try signature?.check(rootHash: application.delta.target.rootHash)
    return signature
  }

  /// A signature that was of the old file stays where it is, and is that of no file there.
  private func tellOfSignature() {
    guard let signaturePath else { return }
    let kept = keptSignaturePath.map { "; the old file has it as \($0.escapedForDisplay())" } ?? ""
    Report.note(
      "vlm-convert: note: \(signaturePath.escapedForDisplay()) is the old file's signature and not "
        + "the new one's; put the new one's in its place\(kept)")
  }

  private func make(
    _ application: DeltaApplication, keeping oldSignature: MappedFile?,
    expecting newSignature: ExpectedSignature?
  ) throws {
    let count = try work.threadCount()
    let pool = WorkerPool(threadCount: count)
    let loop: Container.Loop = { count, body in
      pool.forEach(count: count) { piece, _ in body(piece) }
    }
    let reading = Progress(
      "checking", total: application.delta.file.count + application.model.file.count, unit: .bytes,
      quiet: quiet)
    try application.check(progress: { done, _ in reading.update(done) }, loop: loop)
    reading.finish()
    // Every byte is written, and read once more.
    let writing = Progress(
      "applying", total: 2 * application.delta.target.byteCount, unit: .bytes, quiet: quiet)
    try application.write(
      to: output ?? model, overwrite: output == nil || force, threads: count,
      progress: { done, _ in writing.update(done) }, loop: loop, keepingOldAs: keptPath,
      replacingKept: force
    ) { made in
      writing.finish()
      try newSignature?.check(made, quiet: quiet)
      // With the file that it is of, before the new ones take their places.
      guard let oldSignature, let keptSignaturePath,
        !RollbackCopy.isMade(of: oldSignature.path, at: keptSignaturePath)
      else { return [] }
      let isNew = !FileSystem.exists(keptSignaturePath)
      try OutputFile.copy(oldSignature, to: keptSignaturePath, overwrite: force)
      guard isNew else { return [] }
      let place = FileSystem.resolved(keptSignaturePath) ?? keptSignaturePath
      OutputFile.hold(place)
      return [place]
    }
    writing.finish()
  }
}
