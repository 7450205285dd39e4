import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// The files of a LoRA adapter, which peft and LLaVA's training write beside or instead of a model.
struct Adapter {
  /// Whether the folder has an adapter.
  let isPresent: Bool
  /// Whether a LLaVA's projector was trained with it.
  private let isLLaVA: Bool
  /// The model that it is for.
  private let base: String?
  private let folder: String

  init(folder: String) {
    self.folder = folder
    var descriptions = SourceDescriptions(folder: folder)
    let config = try? descriptions.read("adapter_config.json")
    let files = ["adapter_model.safetensors", "adapter_model.bin"]
    isPresent = config != nil || files.contains { FileSystem.exists(folder + "/" + $0) }
    isLLaVA = FileSystem.exists(folder + "/non_lora_trainables.bin")
    base = config?["base_model_name_or_path"]?.stringValue
  }

  func refusal(path: String) -> ConversionError {
    isLLaVA
      ? ConversionError(path: folder, .llavaAdapter(base: base))
      : ConversionError(path: path, .adapter(base: base))
  }
}
