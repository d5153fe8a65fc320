# A loop of a thousand forks.
i=0
while [ $i -lt 1000 ]; do
	(exit 0) || echo "failed at $i"
	i=$((i + 1))
done
echo $i
n=0
for i in 1 2 3 4 5 6 7 8 9 10; do n=$((n + $(/bin/busybox echo $i))); done
echo $n
