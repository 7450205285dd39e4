import ArgumentParser
import VLMCheckpoint

/// Which part of a checkpoint is read, and how strictly.
struct PyTorchOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The part of a checkpoint that is the model, as keys joined by dots or what its names begin "
        + "with: model_ema, state_dict.net …", valueName: "name"))
  var state: String?

  @Flag(help: "Read a PyTorch file even where its checksums are wrong.")
  var noVerify = false

  func options(default selection: StateSelection) -> PyTorchFile.Options {
    PyTorchFile.Options(
      state: state.map { .named($0) } ?? selection, verifiesChecksums: !noVerify)
  }
}
