import ArgumentParser
import VLMCommandLine
import VLMContainer

@main
struct VLMConvertCommand: ParsableCommand {
  static func main() { runCommand(VLMConvertCommand.self, program: "vlm-convert") }

  // Asked for many times, and the version looks at the machine.
  static let configuration = CommandConfiguration(
    commandName: "vlm-convert",
    abstract: "Make a .vlmz file from a checkpoint, or look into one.",
    discussion: """
      Example: vlm-convert convnext-tiny/ convnext.vlmz --q4
      """,
    version: versionText(program: "vlm-convert", formatVersion: Container.formatVersion),
    subcommands: [
      Convert.self, Evaluate.self, Inspect.self, Verify.self, Extract.self, Diff.self, Hash.self,
      Sign.self, VerifySignature.self, GenerateKey.self,
      Delta.self, Apply.self,
      Pack.self, Unpack.self,
    ], defaultSubcommand: Convert.self)
}
