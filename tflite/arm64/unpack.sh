#!/usr/bin/env bash
# unpack.sh FOLDER WHEELS UV: an ARM64 Python with LiteRT for QEMU in FOLDER, of this system's Debian packages for arm64 (signed)
# and of the wheels in the lock file WHEELS (with hashes). Nothing is installed, no rights are needed.
set -euo pipefail
wheels=$(realpath "$2") uv=$(realpath "$3")
command -v apt-get dpkg-deb > /dev/null || { echo "edgernn: apt-get and dpkg-deb not found; ARM64 is emulated on Debian or Ubuntu" >&2; exit 2; }
rm -rf "$1.new" && mkdir -p "$1.new" && cd "$1.new"
mkdir -p apt/lists/partial apt/cache/archives/partial
touch apt/installed # nothing is: so that a package comes with all it needs
options=(--quiet=2 -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=false -o APT::Sandbox::User=root
         -o Dir::State::Lists="$PWD/apt/lists" -o Dir::State::Status="$PWD/apt/installed" -o Dir::Cache="$PWD/apt/cache"
         -o Debug::NoLocking=true)
apt-get "${options[@]}" update
apt-get "${options[@]}" --yes --download-only install python3-minimal libpython3-stdlib libstdc++6
for package in apt/cache/archives/*.deb; do
  dpkg-deb --extract "$package" root
done
rm -r apt
python=$(basename "$(find root/usr/bin -name 'python3.*' | head -1)")
ln -s "usr/bin/$python" root/python
"$uv" pip install --quiet --target wheels --python-platform aarch64-manylinux_2_28 --python-version "${python#python}" \
  --only-binary :all: --no-deps --require-hashes -r "$wheels"
cd - > /dev/null
rm -rf "$1" && mv "$1.new" "$1"
