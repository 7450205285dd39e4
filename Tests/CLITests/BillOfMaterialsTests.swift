import Foundation
import Testing
import VLMContainer
import VLMTestSupport

/// `inspect --bom`, by the rules of the two formats that a validator would find broken.
@Suite("Bills of materials")
struct BillOfMaterialsTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.path("m.vlmz")
    let outcome = try CommandRunner.convert(
      TestFiles.fixture("convnext-cifar10"), model, "--q8", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  private func document(_ format: String, of path: String) throws -> [String: Any] {
    let outcome = try CommandRunner.convert("inspect", path, "--bom", format)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
  }

  private func properties(_ object: [String: Any]?) -> [String: String] {
    let list = object?["properties"] as? [[String: String]] ?? []
    return Dictionary(list.map { ($0["name"] ?? "", $0["value"] ?? "") }) { first, _ in first }
  }

  private func sha256(_ path: String) throws -> String {
    hexadecimal(SHA256.hash(Array(try Data(contentsOf: URL(fileURLWithPath: path)))))
  }

  @Test("a CycloneDX document has what version 1.6 demands, and the model's hashes and sources")
  func cycloneDX() throws {
    let bill = try document("cyclonedx", of: model)
    let members: Set = [
      "$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata",
    ]
    #expect(Set(bill.keys) == members)
    #expect(bill["bomFormat"] as? String == "CycloneDX")
    #expect(bill["specVersion"] as? String == "1.6")
    #expect(bill["version"] as? Int == 1)
    let serial = try #require(bill["serialNumber"] as? String)
    let uuid = try Regex(
      "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    #expect(try uuid.wholeMatch(in: serial) != nil, "\(serial)")

    let metadata = try #require(bill["metadata"] as? [String: Any])
    #expect(Set(metadata.keys) == ["tools", "component"])
    let component = try #require(metadata["component"] as? [String: Any])
    let known: Set = [
      "type", "bom-ref", "name", "version", "hashes", "pedigree", "modelCard", "properties",
    ]
    #expect(Set(component.keys) == known)
    #expect(component["type"] as? String == "machine-learning-model")
    #expect(component["name"] as? String == "m.vlmz")
    let hashes = component["hashes"] as? [[String: String]]
    let digest = try sha256(model)
    #expect(hashes == [["alg": "SHA-256", "content": digest]])
    let card = component["modelCard"] as? [String: Any]
    let parameters = card?["modelParameters"] as? [String: String]
    #expect(parameters == ["architectureFamily": "convnext"])

    let facts = properties(component)
    let root = try Container.open(path: model).rootHash
    #expect(facts["vlmz:root-hash"] == hexadecimal(root))
    #expect(facts["vlmz:step:0:tool"] == "vlm-convert")
    #expect(facts["vlmz:step:0:scheme"] == "q8")
    #expect(facts["vlmz:license"] == "NOASSERTION")
    let pedigree = component["pedigree"] as? [String: Any]
    let ancestors = pedigree?["ancestors"] as? [[String: Any]] ?? []
    let names = ancestors.compactMap { $0["name"] as? String }
    #expect(names.contains("model.safetensors"), "\(names)")
    let hash = try Regex("[0-9a-f]{16}")
    for ancestor in ancestors {
      #expect(ancestor["type"] as? String == "file")
      let value = properties(ancestor)["vlmz:xxh64"] ?? ""
      #expect(try hash.wholeMatch(in: value) != nil)
    }
  }

  @Test("an SPDX document has what version 2.3 demands, and says what is not known")
  func spdx() throws {
    let bill = try document("spdx", of: model)
    #expect(bill["spdxVersion"] as? String == "SPDX-2.3")
    #expect(bill["dataLicense"] as? String == "CC0-1.0")
    #expect(bill["SPDXID"] as? String == "SPDXRef-DOCUMENT")
    #expect((bill["documentNamespace"] as? String)?.hasPrefix("urn:uuid:") == true)
    let creation = try #require(bill["creationInfo"] as? [String: Any])
    #expect(creation["created"] as? String == "1970-01-01T00:00:00Z")
    #expect((creation["comment"] as? String)?.contains("not known") == true)
    let packages = try #require(bill["packages"] as? [[String: Any]])
    let ids = packages.compactMap { $0["SPDXID"] as? String }
    #expect(Set(ids).count == packages.count)
    #expect(packages.count >= 2)
    for package in packages {
      #expect(package["downloadLocation"] as? String == "NOASSERTION")
      #expect(package["licenseConcluded"] as? String == "NOASSERTION")
      #expect(package["copyrightText"] as? String == "NOASSERTION")
      #expect(package["filesAnalyzed"] as? Bool == false)
    }
    let checksums = packages.first?["checksums"] as? [[String: String]]
    let digest = try sha256(model)
    #expect(checksums == [["algorithm": "SHA256", "checksumValue": digest]])
    let relationships = try #require(bill["relationships"] as? [[String: String]])
    #expect(relationships.count == packages.count)
    for relationship in relationships {
      let ends = [relationship["spdxElementId"], relationship["relatedSpdxElement"]]
      for end in ends.compactMap({ $0 }) where end != "SPDXRef-DOCUMENT" {
        #expect(ids.contains(end), "\(end)")
      }
    }
  }

  @Test("the same file gives the same document, and its source's source is in it")
  func chain() throws {
    let first = try CommandRunner.convert("inspect", model, "--bom", "cyclonedx")
    try FileManager.default.createDirectory(
      atPath: folder.path("elsewhere"), withIntermediateDirectories: false)
    let copy = folder.path("elsewhere/m.vlmz")
    try FileManager.default.copyItem(atPath: model, toPath: copy)
    let second = try CommandRunner.convert("inspect", copy, "--bom", "cyclonedx")
    #expect(first.output == second.output)
    #expect(!first.output.isEmpty)

    let again = folder.path("again.vlmz")
    let outcome = try CommandRunner.convert(model, again, "--q4", "-q")
    try #require(outcome.status == 0, "\(outcome.errors)")
    let bill = try document("cyclonedx", of: again)
    let component = (bill["metadata"] as? [String: Any])?["component"] as? [String: Any]
    let facts = properties(component)
    #expect(facts["vlmz:step:0:scheme"] == "q4")
    #expect(facts["vlmz:step:1:scheme"] == "q8")
    let pedigree = component?["pedigree"] as? [String: Any]
    let names = (pedigree?["ancestors"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
    #expect(names?.contains("m.vlmz") == true)
    #expect(names?.contains("model.safetensors") == true)
  }

  @Test("a file without provenance says that it has none")
  func nothing() throws {
    let golden = TestFiles.root.appendingPathComponent("formats/golden/accept/A02-two-tensors.vlmz")
    let bill = try document("cyclonedx", of: golden.path)
    let component = (bill["metadata"] as? [String: Any])?["component"] as? [String: Any]
    #expect(properties(component)["vlmz:provenance"] == "NOASSERTION")
    let pedigree = component?["pedigree"] as? [String: Any]
    #expect(pedigree?["ancestors"] == nil)
    let both = try CommandRunner.convert("inspect", model, "--bom", "spdx", "--json")
    #expect(both.status == 64)
    for (name, output) in [
      ("convnext-cifar10", "convnext-cifar10.vlmz"),
      ("upstream/torchvision.pth", "torchvision.vlmz"),
    ] {
      let path = TestFiles.fixture(name)
      let outcome = try CommandRunner.convert("inspect", path, "--bom", "spdx")
      #expect(outcome.status == 65)
      #expect(
        outcome.errorLine.contains(
          "is a checkpoint, expected a .vlmz file; if vlm-convert reads its model, convert it first: "
            + "vlm-convert \(path) \(output)"),
        "\(outcome.errors)")
    }
  }
}
