import ArgumentParser
import VLMCheckpoint

/// How a PyTorch checkpoint is read.
struct PyTorchOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The part of a PyTorch checkpoint that is the model, as keys joined by dots: model_ema, "
        + "state_dict …", valueName: "name"))
  var state: String?

  @Flag(help: "Read a PyTorch file even where its checksums are wrong.")
  var noVerify = false

  func options(default selection: StateSelection) -> PyTorchFile.Options {
    PyTorchFile.Options(
      state: state.map { .named($0) } ?? selection, verifiesChecksums: !noVerify)
  }
}
