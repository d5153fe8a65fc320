# What only bash has: arrays, here-strings, process substitution, [[ ]], pipefail.
a=(one two "three four"); echo ${#a[@]} "${a[2]}" "${a[@]:1:1}"; a+=(five); echo "${!a[@]}"
declare -A m; m[x]=1; m[y]=2; for k in $(printf '%s\n' "${!m[@]}" | sort); do echo "$k=${m[$k]}"; done
read -r x y <<<"here string"; echo "$y $x"
diff <(seq 3) <(seq 2 4); echo $?
tee >(cat >ps.out) <poem >/dev/null; wait; until cmp -s ps.out poem; do sleep 0.01; done; echo process substitution
[[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}"
set -o pipefail; false | true; echo $?; set +o pipefail
true | false | true; echo "${PIPESTATUS[@]}"
for ((i = 0; i < 3; i++)); do printf '%d ' $i; done; echo
s=hello; echo ${s^} ${s/l/L} ${s//l/L} ${s:1:3} ${s@Q}
echo {1..5} {a..e..2} x{1,2}y
f() { local -n ref=$1; ref=changed; }; v=old; f v; echo $v
mapfile -t lines <poem; echo "${#lines[@]} ${lines[0]}"
shopt -s nullglob; echo *.nosuch; shopt -u nullglob
printf -v out '%05d' 42; echo $out
# It stays until it is told to go: bash forgets the descriptors of one that has gone.
coproc { read l; echo "co $l"; read l; }; echo hi >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r; echo >&${COPROC[1]}; wait
trap 'echo debug exit' EXIT
case $BASH_VERSION in 5.*) echo version 5;; esac
ulimit -n | grep -c '^[0-9]*$'
exec 7<>rw; echo rw >&7; exec 7>&-; cat rw
printf '%(%Y-%m-%d)T\n' 0
echo $(( 2 ** 40 )) $(( 16#ff ))
