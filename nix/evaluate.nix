# Looks packages up in a package set and describes each as JSON. Of the set nothing is assumed but its
# attributes; in particular there is no `lib` here.
#
# `request` is JSON, so that what clients send is data and never code:
#   folder    store path with the set's default.nix
#   system    Nix system to evaluate for
#   packages  names, dots reaching into sets
#   marker    a secret word: "MARKER INDEX" is traced before each package is forced, so that whoever
#             reads stderr knows which one an error belongs to (tryEval catches only some errors and
#             loses their message). Before the set itself is forced, the marker stands alone.
{ request }:

let
  inherit (builtins)
    attrNames elemAt filter fromJSON functionArgs genList hasAttr head isAttrs isFunction isInt
    isString length match replaceStrings split stringLength trace typeOf;

  inherit (fromJSON request) folder system packages marker;

  letters = word: genList (i: builtins.substring i 1 word) (stringLength word);
  toLower = replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (letters "abcdefghijklmnopqrstuvwxyz");

  # functionArgs is {} for `args: …` and `{ ... }: …` alike, which take anything.
  call = f:
    let named = functionArgs f;
    in f (if named == { } || named ? system then { inherit system; } else { });

  set =
    let
      imported = import folder;
      called = if isFunction imported then call imported else imported;
    in
    if isAttrs called then called
    else throw "default.nix gives a ${typeOf called}, not an attribute set of packages";

  # How a set spells a name, or null. Without regard to case only after an exact miss: that look-up is
  # linear in the set.
  spelling = members: name:
    let
      folded = wanted:
        let same = filter (attribute: toLower attribute == toLower wanted) (attrNames members);
        in if same == [ ] then null else head same;
      find = wanted: if hasAttr wanted members then wanted else folded wanted;
      plain = find name;
    in
    if plain == null && match "[0-9].*" name != null then find "_${name}" else plain;

  # Walks down a dotted name: { attribute; value; } or { missing; known; }.
  walk = { attribute, value }: parts:
    let
      part = head parts;
      spelled = if isAttrs value then spelling value part else null;
    in
    if parts == [ ] then { inherit attribute value; }
    else if spelled == null then {
      missing = attribute;
      known = if isAttrs value then attrNames value else [ ];
    }
    else walk
      {
        attribute = if attribute == "" then spelled else "${attribute}.${spelled}";
        value = value.${spelled};
      }
      (builtins.tail parts);

  describe = name:
    let
      found = walk { attribute = ""; value = set; } (filter isString (split "\\." name));
      inherit (found) value;
      # Sets also hold the functions that override them, and marks for tools.
      packageNames = filter (name: match "__.*|override.*|recurseForDerivations" name == null)
        (attrNames value);
      priority = value.meta.priority or null;
      mainProgram = value.meta.mainProgram or null;
      imageConfig = value.imageConfig or value.passthru.imageConfig or null;
      # What the config's text refers to must be in the image as well.
      context = builtins.getContext (builtins.toJSON imageConfig);
      outputsOf = derivation:
        map (outputName: { inherit derivation outputName; }) (context.${derivation}.outputs or [ ]);
    in
    if found ? missing then { status = "missing"; inherit (found) missing known; }
    else if !isAttrs value then { status = "not-a-derivation"; type = typeOf value; }
    else if value.type or null != "derivation" then {
      status = "set";
      members = genList (elemAt packageNames) (if length packageNames < 10 then length packageNames else 10);
    }
    else {
      status = "found";
      inherit (found) attribute;
      derivation = value.drvPath;
      outputName = value.outputName or "out";
      storePath = value.outPath;
      system = value.system or system;
      # What nix-env and buildEnv take for a package that says nothing.
      priority = if isInt priority then priority else 5;
      mainProgram = if isString mainProgram then mainProgram else null;
      inherit imageConfig;
      requires = if context == { } then null else builtins.concatMap outputsOf (attrNames context);
    };

  marked = index:
    let description = describe (elemAt packages index);
    in trace "${marker} ${toString index}" (builtins.deepSeq description description);
in
trace marker (builtins.seq set (genList marked (length packages)))
