import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

/// Bodies of `/v1/responses`.
@Suite struct ResponsesRequestTests {
  private func read(_ text: String) throws -> ResponsesRequest {
    try ResponsesRequest(try body(text), limits: small, randomSeed: { 42 })
  }

  @Test func aTextIsAQuestion() throws {
    let request = try read(#"{"input": "Hi", "instructions": "Be brief.", "max_output_tokens": 7}"#)
    #expect(request.messages.map(\.role) == [.system, .user])
    #expect(request.messages.map(\.text) == ["Be brief.", "Hi"])
    #expect(request.parameters.options == AnswerOptions(maximumTokens: 7, seed: 42))
    #expect(!request.parameters.isStreamed)
  }

  @Test func itemsAreAConversation() throws {
    let request = try read(
      #"""
      {"input": [
        {"role": "user", "content": [
          {"type": "input_text", "text": "What is it?"},
          {"type": "input_image", "image_url": "\#(pixel)", "detail": "auto"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "a cup"},
        {"type": "function_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "red"}]}]}
      """#)
    #expect(request.messages.map(\.role) == [.user, .assistant, .user])
    #expect(request.messages[0].pictures.count == 1)
    #expect(
      request.messages[1].text
        == "I look.\n<tool_call>\n{\"name\":\"look\",\"arguments\":{}}\n</tool_call>")
    #expect(
      request.messages[2].text
        == "<tool_response>\na cup\n</tool_response>\n<tool_response>\nred\n</tool_response>")
  }

  @Test func formsAndLogProbabilitiesAreAskedForInOtherWords() throws {
    let request = try read(
      #"{"input": "Hi", "text": {"format": {"type": "json_schema", "name": "a", "strict": true, "#
        + #""schema": {"type": "null"}}}, "include": ["message.output_text.logprobs"], "#
        + #""top_logprobs": 3, "reasoning": {"effort": "none"}}"#)
    #expect(request.parameters.options.format == .jsonSchema(#"{"type":"null"}"#))
    #expect(request.parameters.alternatives == 3)
    let arguments = try body(try #require(request.parameters.templateArguments))
    #expect(arguments == ["reasoning_effort": "none", "enable_thinking": false])
  }

  @Test func functionsStandWithoutAnObjectOfTheirOwn() throws {
    let tools =
      #""tools": [{"type": "function", "name": "f", "description": "g", "strict": true, "#
      + #""parameters": {"type": "object", "properties": {"a": {"type": "null"}}}}]"#
    let request = try read(
      #"{"input": "Hi", "tool_choice": {"type": "function", "name": "f"}, \#(tools)}"#)
    #expect(request.parameters.tools?.functions.map(\.name) == ["f"])
    #expect(request.parameters.tools?.isRequired == true)
    #expect(request.messages[0].text.contains(#""function":{"name":"f","description":"g""#))
  }

  @Test(
    "what cannot be followed is refused by name",
    arguments: [
      (#"{}"#, "input"), (#"{"input": []}"#, "input"), (#"{"input": 5}"#, "input"),
      (#"{"input": "a", "n": 2}"#, "n"), (#"{"input": "a", "max_tokens": 2}"#, "max_tokens"),
      (#"{"input": "a", "previous_response_id": "resp_1"}"#, "previous_response_id"),
      (#"{"input": "a", "conversation": "conv_1"}"#, "conversation"),
      (#"{"input": "a", "background": true}"#, "background"),
      (#"{"input": "a", "truncation": "auto"}"#, "truncation"),
      (#"{"input": "a", "include": ["all"]}"#, "include"),
      (#"{"input": "a", "top_logprobs": 2}"#, "top_logprobs"),
      (#"{"input": "a", "tools": [{"type": "web_search"}]}"#, "tools[0].type"),
      (#"{"input": "a", "text": {"format": {"type": "xml"}}}"#, "text.format.type"),
      (#"{"input": "a", "text": {"verbosity": "low"}}"#, "text.verbosity"),
      (
        #"{"input": "a", "text": {"format": {"type": "json_object"}}, "grammar": "root ::= [a]"}"#,
        "text.format"
      ), (#"{"input": [{"type": "item_reference", "id": "a"}]}"#, "input[0].type"),
      (#"{"input": [{"type": "function_call_output", "output": "a"}]}"#, "input[0].type"),
      (#"{"input": [{"type": "function_call", "arguments": "{}"}]}"#, "input[0].name"),
      (
        #"{"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "a"}]}]}"#,
        "input[0].content[0].file_id"
      ),
      (
        #"{"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a"}]}]}"#,
        "input[0].content[0].image_url"
      ),
    ])
  func refusesByName(_ text: String, _ name: String) {
    let error = refusal { _ = try read(text) }
    #expect(error?.parameter == name)
    #expect(error?.status == 400)
  }

  @Test func whatAsksForNothingIsIgnoredAndRepeated() throws {
    let request = try read(
      #"{"input": "a", "store": true, "background": false, "truncation": "disabled", "#
        + #""metadata": {"a": "b"}, "text": {"verbosity": "medium"}, "temperature": 0.5, "#
        + #""include": ["reasoning.encrypted_content"], "parallel_tool_calls": false}"#)
    #expect(request.repeated["metadata"] == ["a": "b"])
    #expect(request.repeated["temperature"] == 0.5)
    #expect(request.repeated["tools"] == [])
  }

  @Test func aSchemaThatIsNotThereIsRefused() {
    let error = refusal {
      _ = try ResponsesRequest(
        try body(#"{"input": "Hi", "text": {"format": {"type": "json_schema", "name": "a"}}}"#),
        limits: small)
    }
    #expect(error?.parameter == "text.format.schema")
  }

  @Test func emptyListsAreCalledThat() {
    for request in [#"{"input": "\#(pixel)", "labels": []}"#] {
      let error = refusal { _ = try ClassifyRequest(try body(request), limits: small) }
      #expect(
        error?.message == "labels: found an empty array, expected an array of one or more strings")
    }
  }
}
