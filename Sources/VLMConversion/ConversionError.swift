import VLMCheckpoint
import VLMFoundation
import VLMModels
import VLMTensor

/// A checkpoint could not be made into a container.
package struct ConversionError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(FileError)
    case json(offset: Int, text: String)
    /// The tensors are those of no model we know.
    /// With the name of another model whose tensors these seem to be.
    case unknownModel(tensorCount: Int, examples: [String], seems: String? = nil)
    case nothingToConvert
    /// TorchScript without parameters.
    case frozenModule
    /// By our names, with a tensor that is there where the file has others, and whose layout that is.
    case missing([String], beside: String? = nil, layout: String? = nil)
    /// A classifier that cannot be run.
    case head(HeadFault)
    case shape(tensor: String, found: [Int], expected: [Int])
    case unexpected([String])
    case notFloat(tensor: String, found: String)
    /// Blocks of a type that is only listed.
    case notReadable(tensor: String, type: String)
    case nonFinite(tensor: String, count: Int)
    /// Something in the checkpoint's folder, by its name.
    case option(String, found: String, expected: String)
    case setting(Setting, found: String, expected: String)
    /// A plan that cannot be read, or is another model's.
    case plan(found: String, expected: String)
    case preprocessing(String, Remedy)
    /// Names of classes in a file of the user's: what was found, and what is expected.
    case labels(String, String)
    /// The weights of a LLaVA's vision tower are neither in the checkpoint nor where it says.
    case visionTower(stated: String)
    /// The same of LLaVA-HR's ConvNeXt.
    case slowTower(stated: String)
    /// A projector alone, and `_name_or_path` of its `config.json`.
    case languageModel(stated: String?)
    /// The vision half of a LLaVA in GGUF alone.
    case visionHalf
    /// LoRA and its kin, and the model that `adapter_config.json` says they are for.
    case adapter(base: String?)
    /// The same, with the projector of a LLaVA that was trained along.
    case llavaAdapter(base: String?)
    /// Several models, by the names of their states.
    case severalStates([String])
    /// Averages of parameters in a list, which have no names.
    case unnamedAverages(String)
    /// A class that `config.json` names and that is not run.
    case architecture(String)
    /// The same of timm's models.
    case timmModel(String)
    /// Weights that another tool quantized, a tensor that shows it, and the model that they were made
    /// of, where the files name it.
    case quantized(kind: String, tensor: String, original: String?)
    /// A file of extracted codes.
    case codes
    /// A section of a container, and what it should hold.
    case section(String, String)
    /// A key of the metadata of an extracted file, and what its value should be.
    case metadata(String, String)
  }

  package let path: String
  package let problem: Problem

  package init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let name = path.escapedForDisplay()
    switch problem {
    case .file(let error): return error.description(in: words)
    case .json(_, let text): return "\(name): \(text)"
    case .unknownModel(let count, let examples, let kin):
      return "\(name): \(counted(count, "tensor")) of no model known here, "
        + "found \(Self.list(examples))" + (kin.map { " (\($0)?)" } ?? "")
        + ", expected \(Registry.summary)"
    case .nothingToConvert: return "\(name): holds no tensors, nothing to convert"
    case .frozenModule:
      return
        "\(name): TorchScript without parameters, as torch.jit.freeze leaves it; expected a state "
        + "dict, or the module before it was frozen"
    case .missing(let names, let beside, let layout):
      let place = beside.map {
        ", here so called; next to the first would be '\($0.escapedForDisplay())'"
      }
      return
        "\(name): \(layout.map { "\($0): " } ?? "")\(counted(names.count, "tensor")) missing: "
        + Self.list(names) + (place ?? "")
        + (names == ["lm_head.weight"] ? Self.withoutHead : "")
    case .head(let fault):
      return "\(name): head \(Self.list(fault.tensors)): found \(fault.found), expected "
        + "\(fault.expected)" + words.end(.leaveOutHead)
    case .shape(let tensor, let found, let expected):
      return "\(name): tensor '\(tensor.escapedForDisplay())': shape \(found), expected \(expected)"
    case .unexpected(let names):
      return
        "\(name): \(counted(names.count, "tensor")) that the model does not have: "
        + Self.list(names) + words.end(.leaveOutTensors)
    case .notFloat(let tensor, let found):
      return "\(name): tensor '\(tensor.escapedForDisplay())': found \(found), "
        + "expected a floating-point type; of a quantized copy take the model that it was made of"
    case .notReadable(let tensor, let type):
      return
        "\(name): tensor '\(tensor.escapedForDisplay())': \(GGUFProblem.notReadable(type).text(words))"
    case .nonFinite(let tensor, let count):
      return
        "\(name): tensor '\(tensor.escapedForDisplay())': "
        + counted(count, "value is", "values are") + " NaN or infinite, expected finite weights"
    case .option(let option, let found, let expected):
      return "\(option): found '\(found.escapedForDisplay())', expected \(expected)"
    case .setting(let setting, let found, let expected):
      return
        "\(words.name(of: setting)): found '\(found.escapedForDisplay())', expected \(expected)"
    case .plan(let found, let expected):
      return "\(name): plan: found \(found), expected \(expected)"
    case .labels(let found, let expected):
      return "\(name): names of classes: found \(found), expected \(expected)"
    case .preprocessing(let text, let remedy): return "\(name): \(text)" + words.end(remedy)
    case .visionTower(let stated):
      return "\(name): the vision tower's weights are not in it, and its mm_vision_tower, "
        + "'\(stated.escapedForDisplay())', is no folder here"
        + words.end(.visionTower(download: CheckpointPath.download(stated)))
    case .slowTower(let stated):
      return "\(name): the weights of the high-resolution tower are not in it, and its "
        + "vision_tower_slow, '\(stated.escapedForDisplay())', is no folder here"
        + words.end(.visionTowerSlow(download: CheckpointPath.download(stated)))
    case .languageModel(let stated):
      let download = stated.flatMap { CheckpointPath.download($0) }
      return "\(name): holds a projector alone"
        + words.end(.languageModel(stated: stated, download: download))
    case .visionHalf:
      return
        "\(name): is the vision half of a LLaVA in GGUF (general.architecture 'clip')"
        + words.end(.languageHalf(vision: path))
    case .adapter(let base):
      let model = base.map { "'\($0.escapedForDisplay())'" } ?? "a model"
      return
        "\(name): holds an adapter for \(model) (LoRA or the like), expected a model; merge it "
        + "into that (merge_and_unload of peft, then save_pretrained) and convert the result"
    case .llavaAdapter(let base):
      let (own, model) = (path.quotedForShell, (base ?? "BASE").quotedForShell)
      return
        "\(name): holds an adapter of a LLaVA and, in non_lora_trainables.bin, the projector that was "
        + "trained with it, expected a model; merge both with LLaVA's own script and convert the "
        + "result: python scripts/"
        + "merge_lora_weights.py --model-path \(own) --model-base \(model) --save-model-path merged"
    case .severalStates(let states):
      return "\(name): holds \(states.count) models, expected one"
        + words.end(.chooseState(states))
    case .unnamedAverages(let tensor):
      return
        "\(name): holds averages of parameters in a list, found '\(tensor.escapedForDisplay())', "
        + "expected tensors by their names; copy them into the model (copy_to) and save its "
        + "state_dict()"
    case .architecture(let found):
      return
        "\(name): config.json says that this is a '\(found.escapedForDisplay())', which is not run "
        + "here, expected one of \(Registry.statedPatterns(besides: found))"
    case .timmModel(let found):
      return
        "\(name): config.json says that this is timm's '\(found.escapedForDisplay(limit: 80))', which "
        + "is not run here, expected \(Registry.summary)"
    case .quantized(let kind, let tensor, let original):
      let step =
        original.map { name in
          "; download that, '\(name.escapedForDisplay(limit: 120))'"
            + (CheckpointPath.download(name).map { ": \($0)" } ?? "")
        } ?? "; download the model that they were made of, not a quantized copy"
      return "\(name): the weights are quantized (\(kind.escapedForDisplay())), found tensor "
        + "'\(tensor.escapedForDisplay())', expected the model's own in f32, f16 or bf16" + step
    case .codes:
      return "\(name): holds the codes of a container, found '….codes' and '….scales', expected "
        + "values" + words.end(.extractValues)
    case .section(let kind, let expected):
      return "\(name): section '\(kind)': cannot be read, expected \(expected)"
    case .metadata(let key, let expected):
      return "\(name): metadata: the value of '\(key)' cannot be read, expected \(expected)"
    }
  }

  private static let withoutHead =
    "; where the model was saved without its head, save it with it (…ForCausalLM), or say "
    + "\"tie_word_embeddings\": true in config.json if that is its table of embeddings"

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(20).map { "'\($0.escapedForDisplay(limit: 120))'" }
    return shown.joined(separator: ", ") + (names.count > 20 ? ", …" : "")
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .option, .setting: .usage
    default: .badData
    }
  }
}
