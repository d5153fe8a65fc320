# Redirections of every kind.
echo first >f; echo second >>f; cat f
cat <f >g; cmp f g && echo same
ls nosuch 2>e; cat e
{ echo o; echo e >&2; } >both 2>&1; cat both
exec 5>five; echo to five >&5; exec 5>&-; cat five
exec 6<poem; read -r l1 <&6; read -r l2 <&6; exec 6<&-; echo "$l2/$l1"
echo x 2>&- >&2; echo "closed $?"
cat <&- ; echo "no input $?"
set -C; echo a >clob; echo b >clob; echo "noclobber $?"; echo c >|clob; cat clob; set +C
: >empty; test -s empty || echo empty
cat poem 3<f <&3
echo swap 3>&1 1>&2 2>&3 | cat
while read -r a b; do echo "$b-$a"; done <<END
one two
three four
END
(cd dir && echo inside >../from-subshell); cat from-subshell
>created; ls created
cat </nosuch; echo "status $?"
echo readonly >/dev/full; echo "full $?"
