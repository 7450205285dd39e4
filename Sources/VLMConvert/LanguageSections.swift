import VLMCheckpoint
import VLMContainer
import VLMInput
import VLMModels
import VLMNN
import VLMTensor

extension GGUFMetadata {
  /// Keys and values as one object; of long arrays the first elements only.
  var description: JSONValue {
    var object = JSONObject()
    for (key, value) in entries { object.set(key, value.json) }
    return .object(object)
  }
}
